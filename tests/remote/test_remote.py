"""Results on an object store: whole or without a manifest, whatever happens to the connection."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from flows.cli import run as labelsweep
from flows.commands.config_file import build_parameters
from tasks.errors import InputError, LabelsweepError, StoreError
from tasks.runs import remote
from tasks.runs.remote import publish_run
from tasks.storage import finish_run
from tasks.synthesize import synthesize

PREFIX = "team/runs/pets-1"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a finished run folder with one file that takes a while to send."""
    folder = tmp_path / "runs" / "pets-1"
    (folder / "model").mkdir(parents=True)
    (folder / "scores.bin").write_bytes(os.urandom(600_000))
    (folder / "model" / "theta.bin").write_bytes(b"theta")
    (folder / "summary.json").write_text("{}")
    finish_run(folder)
    return folder


def test_every_file_of_the_manifest_is_there_and_is_what_it_says(s3, objects, folder):
    assert publish_run(folder, "s3://labels/team/") == "s3://labels/team/runs/pets-1"
    there = objects()
    manifest = json.loads(there[f"{PREFIX}/manifest.json"])
    assert set(manifest["files"]) == {"scores.bin", "model/theta.bin", "summary.json"}
    for name in manifest["files"]:
        assert there[f"{PREFIX}/{name}"] == (folder / name).read_bytes()
    assert there["team/runs/latest"] == b"pets-1"


def test_connection_that_drops_for_a_moment_is_tried_again(s3, objects, folder, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.05)
    s3.allowed = 200_000

    def heal(_):
        s3.allowed = None

    monkeypatch.setattr(remote.time, "sleep", heal)
    publish_run(folder, "s3://labels/team")
    assert s3.cuts > 0
    assert objects()[f"{PREFIX}/scores.bin"] == (folder / "scores.bin").read_bytes()
    assert f"{PREFIX}/manifest.json" in objects()


def test_connection_that_stays_away_leaves_no_manifest_and_the_same_again_sends_what_is_missing(
    s3, objects, folder, monkeypatch
):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    s3.allowed = 200_000
    with pytest.raises(LabelsweepError, match="the same command then sends what is missing"):
        publish_run(folder, "s3://labels/team")
    assert s3.cuts > 0
    assert f"{PREFIX}/manifest.json" not in objects()
    assert "team/runs/latest" not in objects()
    s3.allowed = None
    publish_run(folder, "s3://labels/team")
    assert objects()[f"{PREFIX}/scores.bin"] == (folder / "scores.bin").read_bytes()
    assert f"{PREFIX}/manifest.json" in objects()


def test_what_was_damaged_there_is_sent_again(s3, objects, folder, s3_server):
    import boto3

    publish_run(folder, "s3://labels/team")
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_server}")
    client.put_object(Bucket="labels", Key=f"{PREFIX}/model/theta.bin", Body=b"thetA")
    (folder / remote.PUBLISHED).unlink()
    publish_run(folder, "s3://labels/team")
    assert objects()[f"{PREFIX}/model/theta.bin"] == b"theta"


def test_bucket_that_is_not_there_and_address_of_no_kind_are_one_line(s3, folder, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    with pytest.raises(LabelsweepError, match="check address and credentials"):
        publish_run(folder, "s3://no-such-bucket/team")
    with pytest.raises(InputError, match="unknown kind of address"):
        publish_run(folder, "nowhere://labels/team")


def test_out_on_an_object_store_works_in_one_local_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path))
    first = build_parameters({"source": "sample:digits", "out": "s3://labels/team"}, str)
    again = build_parameters({"source": "sample:digits", "out": "s3://labels/team/"}, str)
    assert first.out == again.out
    assert first.out.parent == tmp_path
    assert first.publish == "s3://labels/team"
    assert build_parameters({"source": "sample:digits"}, str).publish is None
    other = {"source": "sample:digits", "out": "s3://labels/team", "publish": "s3://labels/all"}
    with pytest.raises(InputError, match="another address than --publish"):
        build_parameters(other, str)


def test_command_reads_from_and_writes_to_an_object_store(s3, objects, s3_server, tmp_path, capsys):
    import boto3

    blobs = synthesize(tmp_path / "blobs.parquet", rows=300, dimension=3, flips=0.05, sigma=0.4)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_server}")
    client.put_object(Bucket="labels", Key="in/blobs.parquet", Body=blobs.read_bytes())
    small = ["--rounds", "1", "--feature-map", "raw", "--folds", "3", "--quiet"]
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "clean",
        "s3://labels/in/blobs.parquet",
        "--out",
        "s3://labels/out",
        *small,
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    variables = kept | {"LABELSWEEP_WORK": str(tmp_path / "work"), "PREFECT_HOME": str(tmp_path / "prefect")}
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    there = objects()
    run = there["out/runs/latest"].decode()
    assert f"published: s3://labels/out/runs/{run}\n" in done.stdout
    manifest = json.loads(there[f"out/runs/{run}/manifest.json"])
    assert {"queue.parquet", "scores.parquet", "report.html"} <= set(manifest["files"])
    assert all(f"out/runs/{run}/{name}" in there for name in manifest["files"])
    assert labelsweep(["runs", "--out", "s3://labels/out"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.startswith("RUN")
    assert line.startswith(run)
    assert "300" in line
    assert "finished" in line


def test_connection_that_drops_while_data_are_read_is_one_line_and_leaves_no_run(
    s3, s3_server, tmp_path, capsys, monkeypatch
):
    import boto3

    data = tmp_path / "blobs.csv"
    synthesize(data, rows=20_000, dimension=4)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_server}")
    client.upload_file(str(data), "labels", "in/blobs.csv")
    s3.allowed = 100_000
    out = tmp_path / "out"
    code = labelsweep(["clean", "s3://labels/in/blobs.csv", "--out", str(out), "--quiet"])
    s3.allowed = None
    assert s3.cuts > 0
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "s3://labels/in/blobs.csv: cannot be reached" in line
    assert not list(out.rglob("dataset*"))


@pytest.fixture
def endpoint(request, s3, monkeypatch) -> Iterator[None]:
    """Point every client at an endpoint that answers with one status, whatever it is asked; at none for status 0."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(request.param)
            self.send_header("content-length", "0")
            self.end_headers()

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 (the names in http.server)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if request.param == 0:
        server.shutdown()
        server.server_close()
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield
    if request.param:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("endpoint", [0, 403, 500], indirect=True, ids=["refused", "forbidden", "failing"])
def test_a_store_that_does_not_answer_is_one_line_and_leaves_nothing(endpoint, folder, tmp_path, capsys):
    out = tmp_path / "out"
    for arguments in (
        ["clean", "s3://labels/in/blobs.csv", "--out", str(out), "--quiet"],
        ["runs", "--out", "s3://labels/team"],
        ["review", "--out", "s3://labels/team"],
    ):
        assert labelsweep(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("labelsweep: error: s3://labels/")
        assert "credentials" in line
    with pytest.raises(StoreError, match="cannot be written"):
        publish_run(folder, "s3://labels/team")
    assert not out.exists()


def test_a_bucket_that_is_not_there_is_named(s3, capsys):
    for command in ("runs", "review", "export --to csv"):
        assert labelsweep([*command.split(), "--out", "s3://no-such-bucket/team"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "no bucket 'no-such-bucket'" in line
