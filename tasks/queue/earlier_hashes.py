"""Which row of the last run is which row of this one, also where the columns of the data set have changed.

A content hash covers the names of all columns that the models see. Where a column is added, removed, renamed or gets another
type, each row has another hash, although decisions and queues speak of the same rows. Such rows are compared by the columns
that both runs have, and `former.parquet` says which hash the content of a row had before, and whether its values were others
then: what people said of it holds only where nobody minds that (`--reask`). Rows that were given other ids are known by their
content.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.arrays import Array
from tasks.ingest.columns.types import is_numeric
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.identity import make_sample_id
from tasks.records import Column, Reask
from tasks.storage import read_json, read_parquet, write_table

FORMER = "former.parquet"
KEYS = ("sample_id", "content_hash", "label")

# Ids that labelsweep made are seen from any of the first rows: all of them could only be repetitions of rows set aside.
_LOOK = 100


@dataclass(frozen=True)
class MatchedRows:
    """What became of each of n rows since the last run.

    Attributes:
        place: (n,) the row of the last run, -1 where there was none.
        same_content: (n,) bool, whether its content is the same, as far as both runs know it.
        same_label: (n,) bool, whether its given label is the same.
        before_id: (n,) its id in the last run, null where there was none.
        before_hash: (n,) its content hash in the last run, null where there was none.
        before_label: (n,) its given label in the last run, null where there was none.
        renamed: How many rows are known by their content, and have another id.
    """

    place: Array
    same_content: Array
    same_label: Array
    before_id: pa.ChunkedArray
    before_hash: pa.ChunkedArray
    before_label: pa.ChunkedArray
    renamed: int


def match_rows(now: pa.Table, before: pa.Table, shared: tuple[Array, Array] | None = None) -> MatchedRows:
    """Find each row of this run in the last one.

    A row is found by its id. Ids that were made of the content are others where the columns are: then a row without an id
    of the last run is found by its shared columns and its label, or else by its shared columns. So it is where the user's ids
    were given anew.

    Args:
        now: Columns `KEYS` of this run.
        before: Columns `KEYS` of the last run.
        shared: (n,) and (m,) a number for each row that tells its values in the columns that both runs have; None where the
            columns are the same.
    """
    index = pc.index_in(now["sample_id"], value_set=before["sample_id"].combine_chunks())
    place = pc.fill_null(index, -1).to_numpy().astype(np.int64)
    are_made = _is_made(now) and _is_made(before)
    first, second = (now["content_hash"], before["content_hash"])
    if shared is not None:
        first, second = (pa.chunked_array([values]) for values in shared)
    # Made ids are others where the columns are, and ids that were given anew say no more than those.
    if shared is not None if are_made else _forget_given_anew(place, first, second):
        contents, labels = (first, second), (now["label"], before["label"])
        keys = [
            {"content": content.to_numpy(), "label": label.to_numpy()}
            for content, label in zip(contents, labels, strict=True)
        ]
        _match_rest(place, keys, ["content", "label"])
        _match_rest(place, keys, ["content"])
    known = pa.array(place, mask=place < 0)
    found = before.take(known)
    same = _find_equal(now["content_hash"], found["content_hash"]) | _find_equal(first, second.take(known))
    is_known_id = _find_equal(now["sample_id"], found["sample_id"])
    return MatchedRows(
        place,
        same,
        _find_equal(now["label"], found["label"]),
        found["sample_id"],
        found["content_hash"],
        found["label"],
        0 if are_made else int((~is_known_id & (place >= 0)).sum()),
    )


def _forget_given_anew(place: Array, now: pa.ChunkedArray, before: pa.ChunkedArray) -> bool:
    """Forget what ids say of rows whose content another id had in the last run, if most changed rows are such.

    A content counts that one row has in each run: a few values make rows equal that are not the same.

    Args:
        place: (n,) the row of the last run by its id; changed in place.
        now: (n,) contents.
        before: (m,) contents of the last run.

    Returns:
        Whether ids were given anew.
    """
    same = _find_equal(now, before.take(pa.array(place, mask=place < 0)))
    loose, left = np.flatnonzero(~same), np.setdiff1d(np.arange(len(before)), place[same])
    there, was = now.take(pa.array(loose)), before.take(pa.array(left)).combine_chunks()
    once = there.filter(pc.is_in(there, value_set=was)).unique()
    for contents in (now, before):
        counts = pc.value_counts(contents.filter(pc.is_in(contents, value_set=once)))
        once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    if 2 * len(once) <= min(len(loose), len(left)):
        return False
    moved = pc.is_in(there, value_set=once)
    others, loose = loose[~moved.to_numpy()], loose[moved.to_numpy()]
    place[loose] = left[pc.index_in(there.filter(moved), value_set=was).to_numpy()]
    place[others[np.isin(place[others], place[loose])]] = -1
    return True


def _match_rest(place: Array, keys: Sequence[Mapping[str, Array]], by: list[str]) -> None:
    """Find rows that have no place yet among those of the last run that nobody has, by some keys, equal ones in order."""
    import pandas as pd  # noqa: PLC0415 (only where ids or columns have changed)

    rows = np.flatnonzero(place < 0), np.setdiff1d(np.arange(len(keys[1]["content"])), place)
    pairs = zip(keys, rows, strict=True)
    now, before = (pd.DataFrame(each).iloc[some].assign(row=some) for each, some in pairs)
    for frame in (now, before):
        frame["number"] = frame.groupby(by, dropna=False).cumcount()
    found = now.merge(before, "left", [*by, "number"])["row_y"]
    place[rows[0]] = found.fillna(-1).to_numpy(np.int64)


def _is_made(rows: pa.Table) -> bool:
    """Return whether the ids are made of contents and labels."""
    some = rows.slice(0, _LOOK).to_pylist()
    return any(row["sample_id"] == make_sample_id(row["content_hash"], row["label"]) for row in some)


def _find_equal(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Array:
    """Return where two columns have the same value, (n,) bool; a missing label is the same as a missing one of a known row."""
    return pc.fill_null(pc.equal(left, right), fill_value=False).to_numpy()


def number_shared_values(
    now: Path, columns: Collection[Column], previous: Path
) -> tuple[Array, Array] | None:
    """Return a number for each row of this run and of the last one that tells its values in the columns that both have.

    Returns:
        None where the columns are the same, or where no column is in both.
    """
    before = _list_hashed_columns(previous)
    names = {column.name for column in columns} & {name for name, *_ in before}
    if not names or before == {_list_hashed(column.model_dump()) for column in columns}:
        return None
    files = (now, previous / "dataset.parquet")
    found = [_name_stored(sorted(names), pq.read_schema(file)) for file in files]
    used: dict[str, bool] = {}  # whether a column that can be compared has 32 bits in one of the files
    for name in found[0].keys() & found[1].keys():
        kinds = [stored[name].type for stored in found]
        families = {_comparable_kind(kind) for kind in kinds}
        if len(families) == 1 and "" not in families:
            used[name] = any(pa.types.is_float32(kind) or pa.types.is_float16(kind) for kind in kinds)
    if not used:
        return None
    first, second = (
        _hash_rows(file, {name: stored[name].name for name in sorted(used)}, used)
        for file, stored in zip(files, found, strict=True)
    )
    return first, second


def _hash_rows(file: Path, stored: Mapping[str, str], narrow: Mapping[str, bool]) -> Array:
    """Return a number for each row that tells its values in some columns, given by name and by the name in the file."""
    import pandas as pd  # noqa: PLC0415 (only where the columns have changed)

    table = read_parquet(file, columns=list(stored.values()))
    plain = {name: _make_comparable(table[own], narrow=narrow[name]) for name, own in stored.items()}
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def _list_hashed_columns(run: Path) -> set[tuple[str, str, str, bool]]:
    """Return what is hashed of each column that the models of a run saw; nothing where its record is not readable."""
    try:
        record = read_json(run / "steps" / "validate.json")["record"]
        return {_list_hashed(column) for column in record["dataset"]["columns"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _list_hashed(column: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    """Return what of a column decides how its values enter the content hash."""
    return column["name"], column["kind"], column.get("pattern", ""), bool(column.get("centre"))


def _name_stored(names: Iterable[str], schema: pa.Schema) -> dict[str, pa.Field]:
    """Return the fields under which a user's columns are kept in the data set."""
    own = {name: f"source.{name}" if f"source.{name}" in schema.names else name for name in names}
    return {name: schema.field(stored) for name, stored in own.items() if stored in schema.names}


def _comparable_kind(kind: pa.DataType) -> str:
    """Return which values can be compared: numbers with numbers, texts with texts, times with times; else nothing."""
    types = pa.types
    if is_numeric(kind):
        return "number"
    if types.is_dictionary(kind):
        return _comparable_kind(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    return "time" if types.is_temporal(kind) else ""


def _make_comparable(column: pa.ChunkedArray, *, narrow: bool) -> Array:
    """Return values that are equal where the user's are, (n,) float64 or object."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_numeric(column.type):
        parts = [convert_to_text(chunk.cast(pa.string())) for chunk in column.chunks]
        return pa.chunked_array(parts, pa.string()).to_pandas().to_numpy(dtype=object)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    if narrow:
        numbers = numbers.astype(np.float32).astype(np.float64)
    return numbers + 0.0  # zero has one sign


def list_earlier_hashes(
    matched: MatchedRows, reask: Reask, now: pa.Table, asked: Collection[str], earlier: pa.Table | None
) -> pa.Table:
    """Return which hashes the contents had before, columns `content_hash`, `former_hash` and `edited`.

    What was ever asked is there with its own hash as well: it may be decided on long after it was last flagged. Two contents
    that became one, because the column that told them apart is gone, have no former hash: what people said of one of them need
    not hold for the other.

    Args:
        reask: What has to change of a row for people to be asked again; where the content need not matter, none is `edited`.
        now: Columns `KEYS` of this run.
        asked: Hashes that the last queues show or people have decided on: no other ones are followed.
        earlier: The same table of the last run.
    """
    known: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for content, former, edited in (*_list_links(earlier), *((content, content, False) for content in asked)):
        known[content].add((former, edited))
    moved = (matched.place >= 0) & ~_find_equal(now["content_hash"], matched.before_hash)
    rows = pa.array(np.flatnonzero(moved))
    columns = (now["content_hash"].take(rows).to_pylist(), matched.before_hash.take(rows).to_pylist())
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for content, former, same in zip(*columns, matched.same_content[moved].tolist(), strict=True):
        found[content].add((former, not same))
    links = {(content, *link) for content, formers in known.items() for link in formers}
    for content, formers in found.items():
        (former, changed), *others = formers
        if not others and former in known:
            links |= {(content, content, False), (content, former, changed)}
            links |= {(content, one, edited or changed) for one, edited in known[former]}
    kept = {(content, former): edited for content, former, edited in sorted(links, reverse=True)}
    schema = pa.schema({"content_hash": pa.string(), "former_hash": pa.string(), "edited": pa.bool_()})
    return pa.Table.from_pylist(
        [
            dict(zip(schema.names, (*pair, kept[pair] and reask == "content"), strict=True))
            for pair in sorted(kept)
        ],
        schema,
    )


def _list_links(table: pa.Table | None) -> Iterable[tuple[str, str, bool]]:
    """Return content, hash that it had before, and whether its values were others then."""
    return zip(*(column.to_pylist() for column in table.columns), strict=True) if table is not None else ()


def list_formers(table: pa.Table | None) -> dict[str, list[str]]:
    """Return for a content the hashes under which what people said of it still holds."""
    found: dict[str, list[str]] = defaultdict(list)
    for content, former, edited in _list_links(table):
        if not edited:
            found[content].append(former)
    return dict(found)


def read_earlier_hashes(folder: Path) -> pa.Table | None:
    """Return which hashes contents had before a run, None where no content ever had another one."""
    path = folder / FORMER
    return read_parquet(path) if path.exists() else None


def write_earlier_hashes(table: pa.Table, folder: Path) -> None:
    """Keep it in a run folder, unless there is nothing to keep."""
    if len(table):
        write_table(table, folder / FORMER)


def find_equal_hashes(runs: Path) -> dict[str, set[str]]:
    """Return for a hash those that the same content has in the other runs of a folder, before and after it."""
    others: dict[str, set[str]] = defaultdict(set)
    for run in runs.glob("*"):
        for content, former, edited in _list_links(read_earlier_hashes(run)):
            if content != former and not edited:
                others[former].add(content)
                others[content].add(former)
    return dict(others)
