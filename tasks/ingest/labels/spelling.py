"""Names of classes that are written in several ways, or like a missing value."""

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from tasks.ingest.columns.numerals import MARKS

# Classes that are named in one line; the report lists all classes.
_NAMED = 4
# What people write where they give no label.
_NO_LABEL = MARKS | {
    "unknown",
    "unlabeled",
    "unlabelled",
    "unlabeled data",
    "not labeled",
    "undefined",
    "todo",
}
# What people and tools write for yes and no; files of one data set often differ in it.
_TRUTHS = dict.fromkeys(("true", "yes", "y", "1", "1.0"), True) | dict.fromkeys(
    ("false", "no", "n", "0", "0.0"), False
)
# Between words people write any of these for a blank.
_BETWEEN_WORDS = re.compile(r"(?<=\w)(?:[_\u2010-\u2014-]| [_\u2010-\u2014-] )(?=[^\W_])")
# Behind an emoji: whether it has colours.
_COLOURED = "\ufe0e\ufe0f"
# A letter alone may mean another thing as a capital: letters themselves are classes (EMNIST), and m is not M among units.
_LETTERS = 2


def simplify_name(label: str) -> str:
    """Return a name without what people write in several ways: blanks, accents, capitals in words, a full stop behind it.

    Characters that nobody sees, such as blanks of no width, are left out, and `_` and `-` between words are blanks. Letters of
    full width and signs as web pages write them (`&amp;`) are those that they stand for.

    >>> simplify_name(" Yes. "), simplify_name("a"), simplify_name("A"), simplify_name("cafe\u0301") == simplify_name("CAF\u00c9")
    ('yes', 'a', 'A', True)
    >>> simplify_name("New_York\u200b"), simplify_name("C-"), simplify_name("x -1")
    ('new york', 'C-', 'x -1')
    >>> simplify_name("\u2764\ufe0f") == simplify_name("\u2764")
    True
    >>> simplify_name("\uff11"), simplify_name("R&amp;D") == simplify_name("R&D"), simplify_name("\u2460") == simplify_name("1")
    ('1', True, False)
    """
    label = html.unescape(label) if "&" in label else label
    # A sign alone is a class of its own, but for a digit.
    form: Literal["NFC", "NFKC"] = "NFKC" if len(label) > 1 or label.isdecimal() else "NFC"
    seen = "".join(
        letter for letter in label if unicodedata.category(letter) != "Cf" and letter not in _COLOURED
    )
    name = _BETWEEN_WORDS.sub(" ", " ".join(unicodedata.normalize(form, seen).split()))
    name = name.removesuffix(".") or name
    return name.casefold() if sum(map(str.isalnum, name)) >= _LETTERS else name


def mean_the_same(one: str, other: str) -> bool:
    """Return whether two labels are spellings of one name, or both say yes or both no.

    >>> mean_the_same("Cat ", "cat"), mean_the_same("True", "1"), mean_the_same("1", "0")
    (True, True, False)
    """
    first, second = simplify_name(one), simplify_name(other)
    truth = _TRUTHS.get(first.casefold())
    return first == second or (truth is not None and truth == _TRUTHS.get(second.casefold()))


def _group_names(labels: Iterable[str]) -> dict[str, str | bool]:
    """Return what each label shares with its spellings; where all say yes or no in several words, which of both it says."""
    names = {label: simplify_name(label) for label in labels}
    truths = {label: _TRUTHS.get(name.casefold()) for label, name in names.items()}
    if None in truths.values() or len(set(names.values())) <= len(set(truths.values())) == 2:
        return dict(names)
    return {label: truth for label, truth in truths.items() if truth is not None}


def find_spellings(counts: Mapping[str, int], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the class of each label that is another spelling of it: the most frequent one, or a name that is known.

    >>> find_spellings({"Yes": 120, "yes ": 3, "no": 80}), find_spellings({"YES": 5}, ["Yes"])
    ({'yes ': 'Yes'}, {'YES': 'Yes'})
    >>> find_spellings({"1": 9, "0": 9, "True": 4, "False": 5})
    {'False': '0', 'True': '1'}
    """
    groups: dict[str | bool, list[str]] = defaultdict(list)
    by_rows = sorted(
        counts, key=lambda label: (-counts[label], label != unicodedata.normalize("NFC", label), label)
    )
    for label, name in _group_names([*known, *by_rows]).items():
        groups[name].append(label)
    return {label: first for first, *others in groups.values() for label in others if label != first}


def describe_spellings(spellings: Mapping[str, str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what to say of labels that are taken for another spelling of a class.

    >>> describe_spellings({"yes ": "Yes"}, {"Yes": 120, "yes ": 3})
    ("'yes ' (3) is read as 'Yes' (120)",)
    >>> describe_spellings({"YES": "Yes"}, {"YES": 120})  # known from elsewhere
    ("'YES' (120) is read as 'Yes'",)
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label, first in spellings.items():
        groups[first].append(label)
    said = [
        f"{_list_spellings(others, counts)} {'is' if len(others) == 1 else 'are'} read as {_list_spellings([first], counts)}"
        for first, others in groups.items()
    ]
    more = (
        [f"and {len(said) - _NAMED:,} more classes are written in several ways"] if len(said) > _NAMED else []
    )
    return (*said[:_NAMED], *more)


def describe_odd_names(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what to say of classes that are named like a missing value, or -1 beside 0, 1, 2 as scikit-learn has it.

    >>> describe_odd_names({"EU": 10, "NA": 9})
    ("'NA' (9) is a class; --missing NA makes it a missing label",)
    >>> describe_odd_names({"-1": 9, "0": 10, "1": 9, "2": 8}), describe_odd_names({"-1": 9, "0": 10, "1": 9})
    (("'-1' (9) is a class; --missing -1 makes it a missing label",), ())
    """
    marks = [label for label in counts if label.strip().lower() in _NO_LABEL]
    if "-1" in counts and {"0", "1", "2"} <= counts.keys() and "-2" not in counts:
        marks.append("-1")
    if not marks:
        return ()
    named = ",".join(label.strip() for label in marks[:_NAMED])
    verb, what = ("is a class", "it a missing label") if len(marks) == 1 else ("are classes", "them missing")
    return (f"{_list_spellings(marks, counts)} {verb}; --missing {named} makes {what}",)


def _list_spellings(labels: list[str], counts: Mapping[str, int]) -> str:
    named = ((f"'{_visible(label[:40])}'", counts.get(label, 0)) for label in labels[:_NAMED])
    return " and ".join(f"{name} ({rows:,})" if rows else name for name, rows in named)


def _visible(label: str) -> str:
    r"""Return a label with characters that nobody sees as their codes.

    >>> _visible("cat\u200b")
    'cat\\u200b'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in label)
