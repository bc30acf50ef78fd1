"""Who a row is: ids and hashes that do not change with the order of rows or columns, the machine, or the run.

    content_hash = SHA-256(kind of content, names, the content's bytes), the first 32 hex digits
    sample_id    = the user's id, or SHA-256(content_hash, label, k), the first 16 hex digits;
                   where these look like a number, the first digit is one of the letters g to p

where k counts the rows before this one with the same content and label (0 for nearly all). No label is in the
content's hash, and an id survives new rows, another order and another file format; 64 bits meet by chance in
one of 370,000 data sets of 10 million rows.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.arrays import Array
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.labels.survey import check_type
from tasks.ingest.table import SourceTable

_CONTENT_DIGITS = 32
_ID_DIGITS = 16
# From here on, a float stands for several whole numbers.
_LARGEST_EXACT = 2.0**53
# A spreadsheet shows 1234e56789 as 1.23E+93 and saves that: one hash of 16 digits in 800 looks like this. Some read d as e.
_LIKE_A_NUMBER = re.compile(r"[0-9]+(?:[de][0-9]+)?")
_AS_LETTER = str.maketrans("0123456789", "ghijklmnop")
_AS_DIGIT = str.maketrans("ghijklmnop", "0123456789")
# As many rows as `--tolerance` lets go unless it is given: of a column with more, it is not the rows that are wrong.
MOST_WITHOUT_ID = 0.2


def hash_contents(kind: str, names: Sequence[str], contents: Iterable[bytes | memoryview]) -> list[str]:
    """Return the hash of each row's content.

    Args:
        kind: tabular, embedding, probabilities, text or image: equal bytes of another kind are another content.
        names: Names of the features, in the order of the bytes.
        contents: The bytes of each row.

    >>> hash_contents("image", (), [b"a", b"b", b"a"])[0] == hash_contents("image", (), [b"a"])[0]
    True
    """
    seed = hashlib.sha256("\0".join((kind, *names, "")).encode())
    hashes = []
    for content in contents:
        digest = seed.copy()
        digest.update(content)
        hashes.append(digest.hexdigest()[:_CONTENT_DIGITS])
    return hashes


def encode_vector_rows(matrix: NDArray[np.float32]) -> list[memoryview]:
    """Return the canonical bytes of each row of a matrix of shape (rows, features).

    Zero has one sign and NaN one pattern of bits, so that equal numbers have equal bytes on every machine.
    """
    canonical = np.ascontiguousarray(matrix + np.float32(0), dtype="<f4")
    canonical[np.isnan(canonical)] = np.nan
    view = canonical.data.cast("B")
    width = canonical.shape[1] * canonical.itemsize
    return [view[start : start + width] for start in range(0, len(view), width)]


def make_sample_id(content_hash: str, label: str | None, occurrence: int = 0) -> str:
    """Return the id of a row that the user gave none.

    >>> make_sample_id("ab", "cat") != make_sample_id("ab", "dog") != make_sample_id("ab", "dog", 1)
    True
    """
    text = f"{content_hash}\0{'' if label is None else label}"
    if occurrence:
        text += f"\0{occurrence}"
    digits = hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]
    return digits[0].translate(_AS_LETTER) + digits[1:] if _LIKE_A_NUMBER.fullmatch(digits) else digits


def write_identity_line(content_hash: str, label: str | None) -> bytes:
    r"""Return what the digest of a data set takes of a row; a label that is missing is not one that is empty.

    >>> write_identity_line("ab", "cat"), write_identity_line("ab", None)
    (b'ab\tcat\n', b'ab\n')
    """
    return (f"{content_hash}\n" if label is None else f"{content_hash}\t{label}\n").encode()


class OccurrenceCounter:
    """Remembers 8 bytes a row, to number the rows whose content and label are the same."""

    def __init__(self) -> None:
        self._keys: list[Array] = []

    def see(self, ids: Sequence[str]) -> None:
        """Remember the ids of one batch, as they are before numbering."""
        digits = "".join(ids).translate(_AS_DIGIT)
        self._keys.append(np.frombuffer(bytes.fromhex(digits), dtype=">u8").astype(np.uint64))

    def count_earlier(self) -> Array | None:
        """Return for each row how many rows before it have the same id, (n,) int64; None where all are different."""
        keys = pd.Series(np.concatenate([np.empty(0, np.uint64), *self._keys]))
        return keys.groupby(keys).cumcount().to_numpy() if keys.duplicated().any() else None


class IdSurvey:
    """Finds the rows whose id is missing or is another row's, in 8 bytes a row."""

    def __init__(self, table: SourceTable, column: str) -> None:
        check_type(table.schema.field(column).type, column, table.uri, "id")
        self._table = table
        self._column = column
        self._hashes: list[Array] = []
        self._rows = 0
        self._missing: list[int] = []

    def see(self, column: pa.Array) -> None:
        """Look at one batch.

        Raises:
            InputError: Ids are floats too large to tell one from the next.
        """
        if pa.types.is_floating(column.type) and (pc.max(pc.abs(column)).as_py() or 0) > _LARGEST_EXACT:
            raise self._table.problem(
                f"the ids in column '{self._column}' were read as floats above 2**53, which lost their last digits",
                fix="write them as text, or as 64-bit integers",
            )
        ids = convert_to_text(column)
        self._missing += (self._rows + np.flatnonzero(ids.is_null())).tolist()
        self._rows += len(ids)
        # Python's own hash of text: fast, and it only has to be the same within this process.
        self._hashes.append(np.fromiter(map(hash, ids.drop_null().to_pylist()), np.int64))

    @property
    def share_without(self) -> float:
        """Share of the rows that have no id of their own."""
        hashes = np.concatenate([np.empty(0, np.int64), *self._hashes])
        own = len(np.unique(hashes))
        return 1 - own / self._rows if self._rows else 1.0

    def find_problems(self) -> dict[int, str]:
        """Return what is wrong with the id of a row, by the number of the row.

        Raises:
            InputError: So many rows have no id of their own that the column is none of ids.
        """
        found = dict.fromkeys(self._missing, f"no id in column '{self._column}'")
        if again := self._find_repeated_hashes():
            found |= self._find_repeated(again)
        if len(found) > MOST_WITHOUT_ID * self._rows:
            row = min(found)
            what = "give every row an id" if row in self._missing else "make the ids unique"
            raise self._table.problem(found[row], fix=f"{what}, or leave --id out", row=row)
        return found

    def _find_repeated_hashes(self) -> set[int]:
        hashes = np.sort(np.concatenate([np.empty(0, np.int64), *self._hashes]))
        return set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())

    def _find_repeated(self, suspected: set[int]) -> dict[int, str]:
        """Compare the ids themselves where their hashes are equal; the first row of an id keeps it."""
        batches = self._table.scan([self._column])
        values = (value for batch in batches for value in convert_to_text(batch.column(0)).to_pylist())
        first: dict[str, int] = {}
        found = {
            row: value
            for row, value in enumerate(values)
            if value is not None and hash(value) in suspected and first.setdefault(value, row) != row
        }
        places = {value: self._table.place(first[value]) for value in set(found.values())}
        return {
            row: f"id '{value}' in column '{self._column}' is also the id of {places[value]}"
            for row, value in found.items()
        }
