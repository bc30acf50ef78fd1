"""Names of classes that are written in several ways, or like a missing value."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

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
# A letter alone may mean another thing as a capital: letters themselves are classes (EMNIST), and m is not M among units.
_LETTERS = 2


def plain_name(label: str) -> str:
    """Return a name without what people write in several ways: blanks, accents, capitals in words, a full stop behind it.

    >>> plain_name(" Yes. "), plain_name("a"), plain_name("A"), plain_name("cafe\u0301") == plain_name("CAF\u00c9")
    ('yes', 'a', 'A', True)
    """
    name = " ".join(unicodedata.normalize("NFC", label).split())
    name = name.removesuffix(".") or name
    return name.casefold() if sum(map(str.isalpha, name)) >= _LETTERS else name


def find_spellings(counts: Mapping[str, int], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the class of each label that is another spelling of it: the most frequent one, or a name that is known.

    >>> find_spellings({"Yes": 120, "yes ": 3, "no": 80}), find_spellings({"YES": 5}, ["Yes"])
    ({'yes ': 'Yes'}, {'YES': 'Yes'})
    """
    groups: dict[str, list[str]] = defaultdict(list)
    by_rows = sorted(
        counts, key=lambda label: (-counts[label], label != unicodedata.normalize("NFC", label), label)
    )
    for label in [*known, *by_rows]:
        groups[plain_name(label)].append(label)
    return {label: first for first, *others in groups.values() for label in others if label != first}


def describe_spellings(spellings: Mapping[str, str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what to say of labels that are taken for another spelling of a class.

    >>> describe_spellings({"yes ": "Yes"}, {"Yes": 120, "yes ": 3})
    ("'yes ' (3) is read as 'Yes' (120)",)
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
    return " and ".join(f"'{label[:40]}' ({counts.get(label, 0):,})" for label in labels[:_NAMED])
