"""How a file of delimited text is written: its encoding, its delimiter, what stands before the header, and the header.

Everything is told from the first lines. Where they leave two readings open, the usual one is taken: commas, and a header.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import Any

from tasks.ingest.source import Part
from tasks.ingest.text.encoding import detect_encoding
from tasks.ingest.text.footer import find_footer
from tasks.ingest.text.header import has_header, is_second_header, join_headers
from tasks.ingest.text.lines import check_text, open_text, read_line_blocks
from tasks.ingest.text.preamble import count_rows_above, count_rows_below, describe_notes

# The last three are rare in text: Hive, Netezza and mainframes write them.
DELIMITERS = ",;\t|\x01^~"
# Rows that are looked at. Ten tell a delimiter from a mark within the text; a hundred hold each of a few classes again.
_ROWS = 100
# More characters than this are not looked at: the header of a table with 100,000 columns fits in.
_CHARACTERS = 2**22
# A header with which most rows do not agree may be none.
_MOST_BROKEN = 0.5
# Characters of a word that is shown: a short one is enough to recognise.
_SHOWN = 24
# Renamed columns that are named one by one: more lines would hide the others.
_NAMED = 3
# The fields of a row, and the number of its lines.
Record = tuple[list[str], int]
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How one file of delimited text is written.

    Attributes:
        encoding: Python's name of it: `utf-8`, `utf-8-sig` where a byte order mark stands first, `utf-16`, `cp1252`.
        delimiter: The character between two fields.
        skipped_lines: Lines before the header: `sep=;`, comments, blank lines. Before the first row where there is no header.
        header_lines: Lines of the header itself: 0 where there is none, more than 1 where a name has a line break.
        names: Name of each field of a row, unique and without blanks around it; empty where the header has none.
        surplus: Whether every row ends with a delimiter that the header does not have.
        renamed: Names that stand twice in the header, or are missing, with the names that these columns got.
        escaped: Whether a quote within quotes has a backslash before it, as MySQL and Spark write it, and is not doubled.
        quoted: Whether quotes keep a field together; where they do not, they are part of the text.
        notes: How many rows above and below the names of the columns are no samples.
        footer: Lines and bytes of what stands behind the rows, and its first words.
    """

    encoding: str
    delimiter: str
    skipped_lines: int
    header_lines: int
    names: tuple[str, ...]
    surplus: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    escaped: bool = False
    quoted: bool = True
    notes: tuple[int, int] = (0, 0)
    footer: tuple[int, int, str] = (0, 0, "")

    @property
    def has_header(self) -> bool:
        """Whether the file names its columns."""
        return self.header_lines > 0


def detect_dialect(part: Part, needed: frozenset[str]) -> Dialect:
    """Return how a file is written.

    Args:
        part: The file; where its encoding is given, it is not guessed.
        needed: Columns that the user named. A first line that holds one of them is a header.

    Raises:
        InputError: It is not text, empty, or a needed column is there twice.
    """
    head = check_text(part, "CSV", any_encoding=True)
    if head.lstrip(b"\xef\xbb\xbf").startswith(b'{"'):
        raise part.problem(
            "not CSV although it is named so: it looks like JSON", fix="rename it to .jsonl or .json"
        )
    if part.encoding is None:
        part = replace(part, encoding=detect_encoding(part, head))
    lines, cut = _read_first_lines(part)
    skipped, delimiter = _count_preamble(lines)
    if skipped == len(lines):
        raise part.problem("it has no header and no rows", fix="check how the file was written")
    read = partial(_split_records, lines[skipped:], cut=cut)
    delimiter = delimiter or _find_delimiter(part, lines[skipped], read, needed)
    escaped = _are_escaped(lines[skipped:], delimiter, read)
    quoted = not _are_quotes_text(part, delimiter)
    records = read(delimiter, escaped=escaped, quoted=quoted)
    if not records:
        raise part.problem(
            f"its first line has a field of more than {csv.field_size_limit():,} characters",
            fix="close the quote that opens it, or check how the file was written",
        )
    above = count_rows_above([row for row, _ in records], needed)
    skipped += sum(count for _, count in records[:above])
    records = records[above:]
    fields = rows = [row for row, _ in records]
    places = [f"c{place}" for place in range(len(fields[0]))]
    # The user may name a column as those of a file without a header are.
    below = 0
    asks_for_places = not needed.isdisjoint(places) and not needed & {name.strip() for name in fields[0]}
    if commented := _read_commented_header(lines[:skipped], fields, delimiter, needed):
        header, start, header_lines = commented, skipped - 1, 1
    elif not asks_for_places and has_header(fields, needed):
        header, header_lines = records[0]
        start, rows = skipped, fields[1:]
        if rows and is_second_header(header, rows[0], rows[1:]):
            header, header_lines = join_headers(header, rows[0]), header_lines + records[1][1]
            rows, records = rows[1:], records[1:]
        below = count_rows_below(rows)
        header_lines += sum(count for _, count in records[1 : below + 1])
        rows = rows[below:]
    else:
        header, start, header_lines = places, skipped, 0
    notes = (above, below)
    header, surplus = _drop_surplus(header, rows)
    names, renamed = make_names_unique([name.strip() for name in header], needed, part, rows)
    encoding = part.encoding or "utf-8"
    footer = find_footer(part, delimiter, len(names)) if len(names) > 1 else (0, 0, "")
    return Dialect(
        encoding, delimiter, start, header_lines, names, surplus, renamed, escaped, quoted, notes, footer
    )


def describe_dialect(part: Part, dialect: Dialect) -> tuple[str, ...]:
    """Return what a person should know of how a file was read, a line each."""
    name = part.shown.rsplit("/", 1)[-1]
    notes = []
    if part.encoding is None and not dialect.encoding.startswith("utf-"):
        # By the first word that is not ASCII a person sees whether the encoding is right.
        with open_text(replace(part, encoding=dialect.encoding)) as file:
            line = next((line for line in file if not line.isascii()), b"").decode(errors="replace")
        word = next((word for word in re.findall(r"\w+", line) if not word.isascii()), line.strip())[:_SHOWN]
        notes.append(f"{name} is read as {dialect.encoding}, as in '{word}'; --encoding names another")
    if not dialect.has_header:
        last = len(dialect.names) - 1
        notes.append(f"{name} has no header: its first line is data, and its columns are named c0 to c{last}")
    notes += describe_notes(dialect.notes, name)
    if dialect.footer[2]:
        notes.append(f"{name}: what stands behind the rows ('{dialect.footer[2]}') is not read")
    for old, new in dialect.renamed[:_NAMED]:
        several = f"{name} has several columns named '{old}': a later one is now '{new}'"
        notes.append(several if old else f"{name} has a column without a name: it is now '{new}'")
    if len(dialect.renamed) > _NAMED:
        notes.append(f"{name}: {len(dialect.renamed) - _NAMED:,} more columns are renamed in this way")
    return tuple(notes)


def _find_delimiter(
    part: Part, header: str, read: Callable[[str], list[Record]], needed: frozenset[str]
) -> str:
    """Return the delimiter that parts the header and the rows alike, into the most fields."""
    marks = [mark for mark in DELIMITERS if mark in header] or [","]
    if part.plain_name.endswith(".tsv") and "\t" in marks:
        return "\t"
    agreement = {mark: _measure_agreement(read(mark)) for mark in marks}
    best = max(agreement, key=lambda mark: agreement[mark])
    if agreement[best][0] > _MOST_BROKEN:
        return best
    # Below a title or the settings of a device.
    rows = {mark: [row for row, _ in read(mark)] for mark in DELIMITERS}
    below = {mark: len(rows[mark][-1]) for mark in rows if count_rows_above(rows[mark], needed)}
    return max(below, key=lambda mark: below[mark], default=best)


def _read_first_lines(part: Part) -> tuple[list[str], bool]:
    """Return the first lines with their ends, and whether there are more."""
    with open_text(part) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
        lines, count = [], 0
        for line in islice(text, 2 * _ROWS):
            lines.append(line)
            count += len(line)
            if count > _CHARACTERS:
                break
        return lines, next(text, None) is not None


def _count_preamble(lines: Sequence[str]) -> tuple[int, str]:
    """Return how many lines stand before the header, and the delimiter that Excel's `sep=` line names."""
    delimiter = ""
    for number, line in enumerate(lines):
        named = _SEPARATOR_LINE.fullmatch(line.rstrip("\r\n"))
        if named and not delimiter:
            delimiter = named[1]
        elif line.strip() and not line.startswith("#"):
            return number, delimiter
    return len(lines), delimiter


def _measure_agreement(records: Sequence[Record]) -> tuple[float, int]:
    """Return the share of rows that have as many fields as the header, or an empty one more, and how many fields that are."""
    width = len(records[0][0]) if records else 0
    rows = [fields for fields, _ in records[1:]]
    fit = sum(len(row) == width or (len(row) == width + 1 and not row[-1]) for row in rows)
    return (fit / len(rows) if rows and width > 1 else 0.0, width)


def _are_escaped(lines: Sequence[str], delimiter: str, read: Callable[..., list[Record]]) -> bool:
    """Return whether quotes within quotes have a backslash before them.

    Where quotes are doubled, a backslash before one is the last character of a value, or a second quote follows.
    """
    marked = re.compile(rf'\\"[^"\r\n{re.escape(delimiter)}]')
    if not any(map(marked.search, lines)):
        return False
    return _measure_agreement(read(delimiter, escaped=True)) >= _measure_agreement(read(delimiter))


def _are_quotes_text(part: Part, delimiter: str) -> bool:
    """Return whether fields begin with quotes that nothing closes, while each line has all fields, as in the TSV files of GLUE.

    Read as quotes, they would make one row of all lines up to the next of them. A field that goes on behind a line's end, or
    has a delimiter in it, leaves lines with another number of delimiters. Between commas quotes always keep fields together.
    """
    if delimiter in ",;":
        return False
    mark = delimiter.encode()
    field = rb'(?:^|[\n%b])"[^"\r\n%b]*%b[\r\n%b]'
    opened, closed = (
        re.compile(field % (*[re.escape(mark)] * 2, end, re.escape(mark))) for end in (b"", b'"')
    )
    per_line: set[int] = set()
    opens = closes = 0
    with open_text(part) as file:
        for block in read_line_blocks(file):
            if b'"' not in block:
                continue
            per_line |= {line.count(mark) for line in block.splitlines() if line}
            if len(per_line) > 1:
                return False
            opens += len(opened.findall(block + b"\n"))
            closes += len(closed.findall(block + b"\n"))
    return opens > closes


def _split_records(
    lines: Iterable[str], delimiter: str, *, cut: bool = False, escaped: bool = False, quoted: bool = True
) -> list[Record]:
    """Return the fields of the first records that are not blank, each with its number of lines.

    Where lines are missing at the end (`cut`), the last record may be half of one, and is left out.
    """
    reader = read_fields(lines, delimiter, escaped=escaped, quoted=quoted)
    found: list[Record] = []
    before = 0
    try:
        for fields in reader:
            if fields:  # with the blank lines above it
                found.append((fields, reader.line_num - before))
                before = reader.line_num
    except csv.Error:  # a field longer than the standard library reads
        pass
    return found[:-1] if cut and len(found) > 1 else found


def read_fields(lines: Iterable[str], delimiter: str, *, escaped: bool, quoted: bool) -> Any:  # noqa: ANN401 (the reader has no public name)
    """Return the standard library's reader of lines that are written so."""
    return csv.reader(
        lines,
        delimiter=delimiter,
        escapechar="\\" if escaped else None,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )


def _read_commented_header(
    before: Sequence[str], fields: Sequence[list[str]], delimiter: str, needed: frozenset[str]
) -> list[str]:
    """Return the names of a header that begins with #, as in `#x,label`; none where the comment is a comment."""
    if not before or not before[-1].startswith("#"):
        return []
    (names, _), *_ = _split_records([before[-1].lstrip("#").strip(" ")], delimiter) or [([], 0)]
    if len(names) != len(fields[0]) or len(names) < 2 or needed & {name.strip() for name in fields[0]}:
        return []
    return names if needed & {name.strip() for name in names} or not has_header(fields, needed) else []


def _drop_surplus(header: list[str], rows: list[list[str]]) -> tuple[list[str], bool]:
    """Return the header without a field that no row has, and whether each row has one more, and that empty.

    R writes names of rows, and no name above them.
    """
    width = len(header)
    empty = sum(len(row) == width + 1 and not row[-1] for row in rows)
    if empty > len(rows) / 2:  # a row with something there is broken, and is named when it is read
        return header, True
    if rows and {len(row) for row in rows} == {width + 1} and len({row[0] for row in rows}) == len(rows):
        return ["", *header], False
    if {len(row) for row in rows} == {width - 1} and not header[-1].strip():
        return header[:-1], False
    return header, False


def make_names_unique(
    header: Sequence[str], needed: frozenset[str], part: Part, rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return unique names as pandas makes them, `x` and `x.1`, and which were changed.

    A column without a name gets one, such as `column 2`, unless it numbers the rows or has no value in the first of them.

    Raises:
        InputError: Two columns have the name of one that the user needs.
    """
    taken = set(header)
    counts: Counter[str] = Counter()
    names: list[str] = []
    for place, name in enumerate(header):
        new = name
        if not name and _has_values(place, rows):
            new = f"column {place + 1}"
        elif name and counts[name]:
            if name in needed:
                raise part.problem(
                    f"{header.count(name)} columns are named '{name}'", fix="rename one of them"
                )
            new = next(f"{name}.{k}" for k in count(counts[name]) if f"{name}.{k}" not in taken)
            taken.add(new)
        counts[name] += 1
        names.append(new)
    return tuple(names), tuple((old, new) for old, new in zip(header, names, strict=True) if old != new)


def _has_values(place: int, rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a column without a name has values; the first one has names or numbers of rows, as programs write them."""
    values = [row[place] for row in rows if len(row) > place and row[place].strip()]
    names_rows = len(set(values)) == len(values) or all(value.isdecimal() for value in values)
    return bool(values) and (place > 0 or not names_rows)
