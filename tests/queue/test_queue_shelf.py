"""The pictures of a queue are written in its order, a few in memory at a time."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import load_workbook
from PIL import Image

from tasks.queue import picture_store
from tasks.queue.picture_store import PictureStore, write_queue
from tasks.queue.workbook import write_workbook


def test_pictures_are_written_in_the_order_of_the_queue_in_small_row_groups(tmp_path, monkeypatch):
    pictures = [bytes([number]) * (1_000 + number) for number in range(100)]
    pq.write_table(
        pa.table({"image": pictures, "n": range(100)}), tmp_path / "data.parquet", row_group_size=7
    )
    order = np.random.default_rng(0).permutation(100)[:40]
    monkeypatch.setattr(picture_store, "GROUP_BYTES", 5_000)
    table = pa.table({"rank": range(40), "content_hash": [str(row) for row in order], "source_row": order})
    pictured = PictureStore(tmp_path / "data.parquet", "image", order)
    written = pq.ParquetFile(write_queue(table, tmp_path / "queue.parquet", pictured))
    assert written.schema_arrow.names == ["rank", "content_hash", "image", "source_row"]
    assert written.read()["image"].to_pylist() == [pictures[row] for row in order]
    assert 8 <= written.num_row_groups <= 12
    rest = pq.read_table(write_queue(table[30:], tmp_path / "open.parquet", pictured, 30))
    assert rest["image"].to_pylist() == [pictures[row] for row in order[30:]]
    assert pq.read_table(write_queue(table[:0], tmp_path / "none.parquet", pictured)).num_rows == 0


def test_a_photograph_taken_sideways_is_upright_in_the_workbook(tmp_path):
    exif, taken = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # the camera lay on its right side
    Image.new("RGB", (800, 400), "white").save(taken, "JPEG", exif=exif)
    pq.write_table(pa.table({"image": [taken.getvalue(), b"no picture"]}), tmp_path / "data.parquet")
    pictured = PictureStore(tmp_path / "data.parquet", "image", np.array([0, 1]))
    table = pa.table({"rank": [1, 2], "sample_id": ["a", "b"], "given_label": ["x", "y"], "reason": ["", ""]})
    book = load_workbook(write_workbook(table, ["x", "y"], ["keep"], tmp_path / "queue.xlsx", pictured))
    (image,) = book["queue"]._images
    assert (image.width, image.height) == (48, 96)
