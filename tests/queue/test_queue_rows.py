"""Some rows of a large file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.queue import rows
from tasks.storage import write_table


@pytest.mark.parametrize("most", [rows.MOST_BYTES, 4_000, 1])
def test_rows_come_as_they_were_asked_for_however_many_bytes_they_hold(most, tmp_path, monkeypatch):
    table = pa.table(
        {
            "name": [f"n{number}" for number in range(100)],
            "image": pa.array(
                [bytes([number]) * 100 if number % 7 else None for number in range(100)], pa.binary()
            ),
            "number": np.arange(100),
        }
    )
    path = write_table(table, tmp_path / "t.parquet")
    wanted = np.random.default_rng(0).integers(0, 100, 150)
    monkeypatch.setattr(rows, "MOST_BYTES", most)
    taken = rows.take_rows(path, wanted)
    assert taken.schema == table.schema
    assert taken.to_pylist() == [table.slice(int(row), 1).to_pylist()[0] for row in wanted]
    assert rows.take_rows(path, wanted[:0], ["image"]).num_rows == 0


def test_rows_are_found_by_a_value_in_the_order_of_the_file(tmp_path):
    table = pa.table({"id": ["a", "b", None, "d", "b"], "n": range(5)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=2)
    found = rows.find_rows(tmp_path / "rows.parquet", "id", ["d", "b", "nobody"], ["n", "id"])
    assert found.to_pylist() == [{"n": 1, "id": "b"}, {"n": 3, "id": "d"}, {"n": 4, "id": "b"}]
    pq.write_table(table[:0], tmp_path / "none.parquet")
    for path, values in ((tmp_path / "rows.parquet", []), (tmp_path / "none.parquet", ["a"])):
        assert rows.find_rows(path, "id", values, ["n", "id"]).schema.names == ["n", "id"]
        assert not rows.find_rows(path, "id", values, ["id"]).num_rows
