"""What stands above the names of a table's columns and between them and the first row: titles, settings of a device, units."""

from collections import Counter
from collections.abc import Sequence

from tasks.ingest.text.header import MISSING, NUMBER, has_header

# With fewer rows, nobody can tell which of them are those of the table.
_LEAST_ROWS = 10
# Devices write a few dozen settings at most.
_MOST_ABOVE = 60
# Rows that nearly all have as many fields are a table; the others are broken.
_ALIKE = 0.9
# Lines below the names: units and kinds of values (loggers), types and flags (Orange), questions and ids (surveys).
_MOST_BELOW = 2


def count_rows_above(rows: Sequence[Sequence[str]], needed: frozenset[str]) -> int:
    """Return how many of the first rows stand above the names of the columns.

    They have another number of fields than the table below, or no value in most of them.

    Args:
        needed: Columns that the user named.

    >>> table = [["x", "y", "label"], *[[f"{n}", "2.5", "ab"[n % 2]] for n in range(20)]]
    >>> count_rows_above([["Device", "A7"], ["Interval", "10 s"], *table], frozenset()), count_rows_above(table, frozenset())
    (2, 0)
    >>> count_rows_above([["Measured in May", "", ""], *table], frozenset())
    1
    """
    half = rows[len(rows) // 2 :]
    width, alike = Counter(map(len, half)).most_common(1)[0] if half else (0, 0)
    if len(half) < _LEAST_ROWS or width < 2 or alike < _ALIKE * len(half):
        return 0
    for place, row in enumerate(rows[:_MOST_ABOVE]):
        filled = sum(bool(value.strip()) for value in row)
        if needed & {value.strip() for value in row} or (len(row) == width and filled > width / 2):
            return place if place == 0 or has_header(rows[place:], needed) else 0
    return 0


def count_rows_below(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows below the names of the columns say what these hold and are no samples.

    >>> table = [[f"{n}", "2.5", "ab"[n % 2]] for n in range(20)]
    >>> count_rows_below([["mm", "[-]", ""], *table]), count_rows_below([["NA", "?", "a"], *table]), count_rows_below(table)
    (1, 0, 0)
    >>> count_rows_below([["c", "c", "d"], ["", "", "class"], *table])
    2
    """
    body = [row for row in rows[_MOST_BELOW:] if rows and len(row) == len(rows[0])]
    if len(body) < _LEAST_ROWS:
        return 0
    columns = [[value.strip() for value in column] for column in zip(*body, strict=True)]
    there = [{value for value in column if value.lower() not in MISSING} for column in columns]
    measured = [bool(values) and all(map(NUMBER.fullmatch, values)) for values in there]
    for place, row in enumerate(rows[:_MOST_BELOW]):
        if len(row) != len(columns) or not _are_words(row, there, measured, least=1 if place == 0 else 0):
            return place
    return _MOST_BELOW


def _are_words(row: Sequence[str], there: Sequence[set[str]], measured: Sequence[bool], least: int) -> bool:
    """Return whether a row has words where all others have numbers, and no value that another row has.

    Args:
        least: 1 where half of the numbers or more have to be words, 0 where nothing may stand in their place.
    """
    cells = [value.strip() for value in row]
    words = [
        value
        for value, is_number in zip(cells, measured, strict=True)
        if is_number and value.lower() not in MISSING
    ]
    return (
        sum(measured) > 1
        and 2 * len(words) >= least * sum(measured)
        and not any(map(NUMBER.fullmatch, words))
        and not any(value in values for value, values in zip(cells, there, strict=True))
    )


def describe_notes(notes: tuple[int, int], name: str) -> list[str]:
    """Return what a person should know of rows that are no samples.

    >>> describe_notes((1, 2), "x.csv")
    ['x.csv: 1 row above the names of the columns is not read', 'x.csv: 2 rows below the names of the columns are no samples']
    """
    above, below = (f"{count} row{'s' * (count > 1)}" for count in notes)
    return [
        *([f"{name}: {above} above the names of the columns {_be(notes[0])} not read"] if notes[0] else []),
        *([f"{name}: {below} below the names of the columns {_be(notes[1])} no samples"] if notes[1] else []),
    ]


def _be(count: int) -> str:
    return "is" if count == 1 else "are"
