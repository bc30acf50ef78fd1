"""Labels that are several labels in one value: "a|b", "['a', 'b']", "<python><pandas>".

A class may have such a sign in its name ("R&B/Soul", "Bedroom, kitchen"). What tells several labels from a name is that the same
parts recur in other combinations, and are alone or at other places as well. The parts of a path ("animal/dog") or of a
product ("left, mild") keep their places.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

# In this order: a value with bars between its parts may have commas within them.
_MARKS = ("|", ";", "#", ",", "、", "/", "+", "&")
# Three combinations are the fewest in which each of three parts recurs.
_COMBINATIONS = 3
# Share of the parts that recur; a path has as many parts that do not as it has leaves.
_RECURRING = 0.8
# Share of the parts that are alone or change their places; "very positive" and "positive" share one half at most.
_FREE = 0.6
_QUOTED_TWICE = re.compile(r"\s*(['\"]).*?\1\s*,\s*(['\"]).*\2\s*,?\s*")
# Share of the rows; rarer combinations are not a way to write a data set but accidents.
_ROWS = 0.05


def find_joined_labels(counts: Mapping[str, int]) -> str | None:
    """Return a label that is several labels in one value, where the labels are written so; else None.

    >>> find_joined_labels({"a": 5, "b|a": 5, "b|c": 5, "a|c": 5, "b": 5})
    'b|a'
    >>> find_joined_labels({"R&B/Soul": 9, "Hip-Hop/Rap": 9, "Rock": 9, "Folk/Country": 9})
    >>> find_joined_labels({"left, mild": 9, "left, severe": 9, "right, mild": 9, "right, severe": 9})
    >>> find_joined_labels({"['a']": 9, "['a', 'b']": 9, "['b', 'c']": 9, "['c', 'a']": 9, "[]": 1})
    "['a', 'b']"
    >>> find_joined_labels({"a#b": 5, "b#c": 5, "c#a": 5, "C#": 5, "F#": 9})
    'a#b'
    >>> find_joined_labels({"('a',)": 9, "('a', 'b')": 9})
    "('a', 'b')"
    """
    inside = {label: _strip_brackets(label) for label in counts}
    if all(label.strip() != text for label, text in inside.items()):  # lists, as Python or JSON write them
        lists = [label for label, text in inside.items() if _QUOTED_TWICE.fullmatch(text)]
        if lists:
            return max(lists, key=lambda label: counts[label])
    return next((found for mark in _MARKS if (found := _find_combination(counts, inside, mark))), None)


def _strip_brackets(label: str) -> str:
    """Return what stands within the brackets of a list, or tags with a mark between them."""
    text = label.strip()
    if text[:1] == "<" and text[-1:] == ">":
        return text[1:-1].replace("><", "|")
    if text[:1] in "[({" and text[-1:] in "])}" and len(text) > 1:
        return text[1:-1]
    return text


def _find_combination(counts: Mapping[str, int], inside: Mapping[str, str], mark: str) -> str | None:
    parts = {label: _split_parts(text, mark) for label, text in inside.items() if mark in text}
    combinations = {label: found for label, found in parts.items() if len(found) > 1}
    rows = sum(counts[label] for label in combinations)
    if len(combinations) < _COMBINATIONS or rows < _ROWS * sum(counts.values()):
        return None
    alone = {
        _split_parts(text, mark)[0] for label, text in inside.items() if label not in combinations and text
    }
    occurs: Counter[str] = Counter()
    places: defaultdict[str, set[bool]] = defaultdict(set)
    for found in combinations.values():
        occurs.update(set(found))
        for place, part in enumerate(found):
            places[part].add(place == 0)
    recurring = sum(times > 1 or part in alone for part, times in occurs.items())
    free = sum(part in alone or len(places[part]) > 1 for part in occurs)
    if recurring < _RECURRING * len(occurs) or free < _FREE * len(occurs):
        return None
    return max(combinations, key=lambda label: counts[label])


def _split_parts(text: str, mark: str) -> list[str]:
    found = [part.strip().strip("'\"").strip() for part in text.split(mark)]
    return [part for part in found if part] or [text]
