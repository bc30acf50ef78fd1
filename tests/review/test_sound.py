"""Sounds that a column names are served whole and in parts, and nothing else is."""

import io
import wave
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from review_server import Client, served

from tasks.errors import InputError
from tasks.review.page.sound import find_sound_folder
from tasks.review.state import ReviewOptions
from tasks.storage import finish_run, read_json, write_json, write_table


def test_a_sound_plays_in_parts_and_no_other_file_is_served(wine: Path, out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(np.zeros(800, np.int16).tobytes())
    (folder / "a.wav").write_bytes(content.getvalue())
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (folder / "notes.txt").write_text("text")
    for name in ("queue.parquet", "dataset.parquet"):
        table = pq.read_table(wine / name)
        names = ["a.wav", "../secret.wav", "notes.txt", "missing.wav"]
        paths = pa.array([names[at % 4] for at in range(len(table))])
        write_table(table.append_column("path", paths), wine / name)
    entry = read_json(wine / "steps" / "ingest.json")
    entry["record"]["display_columns"] += ["path"]
    write_json(entry, wine / "steps" / "ingest.json")
    finish_run(wine)
    options = ReviewOptions(audio="path", audio_folder=find_sound_folder("path", ["path"], str(folder), None))
    with served(wine, out, reviewer="Ada", control_share=0, options=options) as site:
        client = Client(site.address)
        addresses = [f"/audio?id={item.sample_id}" for item in site.site.queue.items[:4]]
        assert [client.request("GET", address)[0] for address in addresses] == [200, 404, 404, 404]
        status, headers, _ = client.request("GET", addresses[0], headers={"range": "bytes=0-3"})
        assert (status, headers["content-length"], headers["content-type"]) == (206, "4", "audio/wav")
        assert "<audio" in client.page("/review")
        assert "media-src 'self'" in headers["content-security-policy"]


def test_a_wrong_column_or_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'sound'"):
        find_sound_folder("sound", ["path"], str(tmp_path), None)
    with pytest.raises(InputError, match="--audio-folder"):
        find_sound_folder("path", ["path"], "s3://bucket/calls.parquet", None)
