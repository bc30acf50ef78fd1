"""Corrected files have the types of the source: a label is a number, a boolean or a category again."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tasks.apply.corrected import SourceChanges
from tasks.apply.layout import SOURCE, SourceLayout, read_layout, write_layout
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source

CATEGORIES = pa.array(["rosé", "green", "white", "red"])
COLUMNS = {
    "int16": pa.array([10, 40, None, 40], pa.int16()),
    "bool": pa.array([True, False, True, True]),
    "decimal": pa.array([Decimal("0.50"), Decimal("1.50"), None, Decimal("1.50")]),
    "category": pa.DictionaryArray.from_arrays(
        pa.array([3, 0, None, 0], pa.int8()), CATEGORIES, ordered=True
    ),
}


def corrected(labels: list[str | None], given: list[str | None]) -> SourceChanges:
    """Return labels of rows 0, 1 and 3 of four; the third was set aside."""
    rows = np.array([0, 1, 3])
    changes = {row: new for row, new, was in zip(rows.tolist(), labels, given, strict=True) if new != was}
    return SourceChanges(
        "t", rows, pa.chunked_array([pa.array(given, pa.string()).dictionary_encode()]), changes
    )


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_labels_that_are_no_text_keep_their_type(tmp_path, kind, suffix):
    table = pa.table({"x": [1, 2, 3, 4], "label": COLUMNS[kind]})
    path = tmp_path / f"t.{suffix}"
    (pq.write_table if suffix == "parquet" else pa.feather.write_feather)(table, path)
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    layout = read_layout(tmp_path / "run", dataset)
    given = pq.read_table(dataset.path)["label"].take([0, 1, 3]).combine_chunks()
    other = given.to_pylist()
    write_layout(layout, corrected([other[1], None, other[2]], other), "state", tmp_path / layout.folder)
    read = pq.read_table if suffix == "parquet" else pa.feather.read_table
    found = read(tmp_path / SOURCE / path.name)
    assert found.schema.equals(table.schema, check_metadata=True)
    assert found["x"].to_pylist() == [1, 3, 4]
    assert found["label"].to_pylist() == table["label"].take([1, 2, 3]).to_pylist()
    if kind == "category":
        assert found["label"].chunk(0).dictionary.equals(CATEGORIES)


def test_a_class_that_the_source_does_not_have_is_a_value_of_its_type_or_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"x": [1, 2, 3, 4], "label": COLUMNS["int16"], "kind": COLUMNS["category"]}), path
    )
    numbers = read_layout(tmp_path / "run", ingest(Source(uri=str(path), features=("x",)), tmp_path / "run"))
    write_layout(numbers, corrected(["30", "40", "40"], ["10", "40", "40"]), "state", tmp_path / "new")
    assert pq.read_table(tmp_path / "new" / "t.parquet")["label"].to_pylist() == [30, 40, None, 40]
    with pytest.raises(InputError, match="the label 'many' is not of type int16"):
        write_layout(numbers, corrected(["many", "40", "40"], ["10", "40", "40"]), "state", tmp_path / "no")
    kinds = SourceLayout(numbers.uri, "kind", numbers.parts, SOURCE, {})
    before = ["red", "rosé", "rosé"]
    write_layout(kinds, corrected(["green", "rosé", "rosé"], before), "state", tmp_path / "green")
    found = pq.read_table(tmp_path / "green" / "t.parquet")["kind"].to_pylist()
    assert found == ["green", "rosé", None, "rosé"]
    with pytest.raises(InputError, match="not one of the categories"):
        write_layout(kinds, corrected(["blue", "rosé", "rosé"], before), "state", tmp_path / "blue")


def test_files_whose_labels_are_text_come_back_with_their_own_columns(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"x": [1, 2, 3, 4], "label": ["a", "b", None, "b"], "features": [0, 0, 1, 1]}), path
    )
    layout = read_layout(tmp_path / "run", ingest(Source(uri=str(path)), tmp_path / "run"))
    write_layout(layout, corrected(["b", "b", "b"], ["a", "b", "b"]), "state", tmp_path / "new")
    found = pq.read_table(tmp_path / "new" / "t.parquet").to_pydict()
    assert found == {"x": [1, 2, 3, 4], "label": ["b", "b", None, "b"], "features": [0, 0, 1, 1]}
