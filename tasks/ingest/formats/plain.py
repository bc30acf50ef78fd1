"""Read text whose name does not say how it is written: `.txt`, `.data`, `.dat` and the formats of learning libraries.

Its first lines tell: Weka's ARFF, labels as fastText or LIBSVM write them, JSON Lines, or columns between delimiters or blanks.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TextIO

import numpy as np
import pyarrow as pa

from tasks.ingest.compression import decompress
from tasks.ingest.formats import csv as delimited
from tasks.ingest.formats import jsonl
from tasks.ingest.label_studio import LABEL_NOTE
from tasks.ingest.reading import FileReader, explain_damage
from tasks.ingest.source import Part
from tasks.ingest.temporary_files import write_tabs
from tasks.ingest.text.arff import ArffFile, is_arff
from tasks.ingest.text.dialect import DELIMITERS, Dialect, make_names_unique
from tasks.ingest.text.encoding import detect_encoding
from tasks.ingest.text.lines import check_text, open_text

SUFFIXES = (".txt", ".data", ".dat", ".arff", ".libsvm", ".svm", ".svmlight", ".fasttext", ".ft")
GZIP, TYPED = True, False

# Lines by which the way of writing is told.
_LOOKED_AT = 100
_PREFIX = "__label__"
_SPARSE = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?(\s+qid:\d+)?(\s+\d+:\S+)+\s*(#.*)?", re.IGNORECASE)
_FIELD = re.compile(r'"([^"]*)"|(\S+)')
# Of sparse vectors with more features (words, mostly) a dense table is no way to learn.
_MOST_FEATURES = 1_000
# Rows of them that are dense at once.
_ROWS = 10_000


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open a text file.

    Raises:
        InputError: It is binary or damaged, or a line has several labels, or sparse vectors are too wide for a table.
    """
    with explain_damage(part, "text"):
        head = check_text(part, "text", any_encoding=True)
        known = part if part.encoding else replace(part, encoding=detect_encoding(part, head))
        with _open_lines(known) as text:
            lines = list(islice((line.strip() for line in text if line.strip()), _LOOKED_AT))
        if is_arff(lines):
            return _open_arff(part, known, as_text)
        body = [line for line in lines if not line.startswith("#")]
        if body and all(line.startswith(_PREFIX) for line in body):
            return _write_table(part, ["label", "text"], _read_fasttext(known))
        if body and all(map(_SPARSE.fullmatch, body)):
            return _open_sparse(part)
        if body and body[0].startswith("{"):
            return jsonl.open_part(part, as_text)
        if _has_columns_of_blanks(body):
            return _open_blanks(part, known, as_text)
    return delimited.open_part(part, as_text)


@contextmanager
def _open_lines(part: Part) -> Iterator[TextIO]:
    """Open the text for its lines."""
    with open_text(part) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        yield text


def _write_table(
    part: Part,
    names: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    texts: frozenset[str] = frozenset(),
    metadata: dict[str, str] | None = None,
) -> FileReader:
    """Write rows, each with the number of its line, as text with tabs, and return the reader of that."""
    lines: list[int] = []

    def numbered() -> Iterator[Sequence[str]]:
        for line, row in rows:
            lines.append(line)
            yield row

    made = write_tabs(part, numbered())
    reader = delimited.open_written(made, Dialect("utf-8", "\t", 0, 0, tuple(names)), texts)
    return reader.standing_for(part, lambda row: f"line {lines[row]}", metadata=metadata)


def _open_arff(part: Part, known: Part, as_text: frozenset[str]) -> FileReader:
    with _open_lines(known) as text:
        file = ArffFile.begin(part, text)
        names = make_names_unique([each.name for each in file.attributes], as_text, part, [])[0]
        texts = frozenset(name for name, each in zip(names, file.attributes, strict=True) if each.values)
        metadata = {LABEL_NOTE: file.label} if file.label in names else None
        return _write_table(part, names, file.rows(), texts, metadata)


def _read_fasttext(part: Part) -> Iterator[tuple[int, list[str]]]:
    """Yield label and text of each line.

    Raises:
        InputError: A line has several labels.
    """
    with _open_lines(part) as text:
        for number, line in enumerate(text, start=1):
            words = line.split()
            labels = [word.rstrip(",") for word in words if word.startswith(_PREFIX)]
            if not words or (words[0].startswith("#") and not labels):
                continue
            if len(labels) > 1:
                raise part.problem(
                    f"line {number} has {len(labels)} labels: multi-label data are not supported",
                    fix="give every line one label, or sweep each label by itself",
                )
            rest = " ".join(word for word in words if not word.startswith(_PREFIX) and word != ",")
            yield number, [labels[0].removeprefix(_PREFIX) if labels else "", rest]


def _open_sparse(part: Part) -> FileReader:
    """Read LIBSVM's sparse vectors as a table with a column a feature."""
    from sklearn.datasets import load_svmlight_file  # noqa: PLC0415 (takes a while)

    with part.open() as raw, decompress(raw, part.compression) as file:
        try:
            vectors, labels = load_svmlight_file(file)[:2]
        except (ValueError, OverflowError) as error:
            raise part.problem(
                f"not a LIBSVM file ({error})", fix="write 'label index:value …' lines"
            ) from error
    width = vectors.shape[1]
    if width > _MOST_FEATURES:
        raise part.problem(
            f"sparse vectors of {width:,} features are too wide for a table",
            fix="save fewer, such as with sklearn's TruncatedSVD, as .npz; or sweep the texts themselves with --text",
        )
    names = ["label", *(f"f{place}" for place in range(1, width + 1))]
    schema = pa.schema([(names[0], pa.string()), *((name, pa.float32()) for name in names[1:])])
    given = pa.array([f"{label:g}" for label in labels])

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        size = min(rows, _ROWS)
        for start in range(0, len(given), size):
            dense = vectors[start : start + size].toarray().astype(np.float32)
            batch = [given[start : start + size], *map(pa.array, dense.T)]
            yield pa.RecordBatch.from_arrays(batch, schema=schema).select(columns)

    return FileReader(part, schema, scan, lambda row: f"line {row + 1}")


def _has_columns_of_blanks(lines: Sequence[str]) -> bool:
    """Return whether lines are columns with blanks between them, as in many tables of the UCI repository.

    >>> _has_columns_of_blanks(["18.0   8  a", "15.0   8  b"]), _has_columns_of_blanks(["1, 2", "3, 4"])
    (True, False)
    """
    bare = [re.sub(r'"[^"]*"', "x", line) for line in lines]
    counts = {len(line.split()) for line in bare}
    parted = all("\t" in line for line in bare) and not any("  " in line for line in bare)
    marked = any(set(line) & set(DELIMITERS) - {"\t"} for line in bare)
    return len(counts) == 1 and min(counts) > 1 and not parted and not marked


def _open_blanks(part: Part, known: Part, as_text: frozenset[str]) -> FileReader:
    """Read columns with blanks between them as columns with tabs between them, line for line."""
    with _open_lines(known) as text:
        fields = ([quoted or plain for quoted, plain in _FIELD.findall(line)] for line in text)
        reader = delimited.open_part(write_tabs(part, fields), as_text)
    return reader.standing_for(part, reader.place, reader.notes)
