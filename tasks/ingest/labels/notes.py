"""Classes that a person should look at before anything else: written in two ways, or named like a missing value."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

from tasks.ingest.columns.numerals import MARKS

# Classes that are named in one line; the report lists all classes.
_NAMED = 4


def notes_on_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return what a person should know of the names of classes, a line each; nothing is merged.

    Args:
        counts: How often each label occurs.

    >>> notes_on_classes({"Yes": 120, "yes ": 3, "no": 80})
    ("classes that differ only in capitals, blanks or accents' encoding: 'Yes' (120) and 'yes ' (3)",)
    >>> notes_on_classes({"EU": 10, "NA": 9})
    ("'NA' (9) is a class; --missing NA makes it a missing label",)
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        groups[_plain(label)].append(label)
    twins = [group for group in groups.values() if len(group) > 1]
    notes = []
    if twins:
        shown = ", ".join(_listed(group, counts) for group in twins[:_NAMED])
        more = f", and {len(twins) - _NAMED:,} more groups" if len(twins) > _NAMED else ""
        notes.append(f"classes that differ only in capitals, blanks or accents' encoding: {shown}{more}")
    marks = [label for label in counts if label.strip().lower() in MARKS]
    if marks:
        named = ",".join(label.strip() for label in marks[:_NAMED])
        verb, what = (
            ("is a class", "it a missing label") if len(marks) == 1 else ("are classes", "them missing")
        )
        notes.append(f"{_listed(marks, counts)} {verb}; --missing {named} makes {what}")
    return tuple(notes)


def _plain(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def _listed(labels: list[str], counts: Mapping[str, int]) -> str:
    return " and ".join(f"'{label[:40]}' ({counts[label]:,})" for label in labels[:_NAMED])
