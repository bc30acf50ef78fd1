"""`labelsweep apply --push`: a corrected version on the Hugging Face Hub, whose HTTP API a server of this machine speaks."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from decided_run import decide
from hub_server import Hub
from huggingface_hub import constants

from flows.cli import run as labelsweep
from tasks.review.queue import load_queue

NAME, TOKEN = "team/pets", "hf_right"
ROWS = 90


@pytest.fixture(scope="module", params=["csv", "parquet"])
def swept(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A swept table, its first queued sample relabeled and the second dropped; the labels that it has then."""
    folder, rng = tmp_path_factory.mktemp("push"), np.random.default_rng(0)
    truth = [n % 2 for n in range(ROWS)]
    given = [1 - one if n < 6 else one for n, one in enumerate(truth)]
    columns = {f"x{k}": rng.normal(3.0 * np.array(truth), 0.4) for k in range(2)}
    names = [f"p{n}" for n in range(ROWS)]
    table = pa.table({"id": names, **columns, "label": [("cat", "dog")[one] for one in given]})
    source, out = folder / f"pets.{request.param}", folder / "out"
    (pa_csv.write_csv if request.param == "csv" else pq.write_table)(table, source)
    options = ["--id", "id", "--rounds", "1", "--folds", "3", "--controls", "0", "--feature-map", "raw"]
    assert labelsweep(["clean", str(source), *options, "--quiet", "--out", str(out)]) == 0
    run = (out / "runs" / "latest").resolve()
    first, second = load_queue(run).items[:2]
    decide(out, run, [(first.sample_id, "Ada", "suggestion"), (second.sample_id, "Ada", "drop")])
    labels = dict(zip(names, table["label"].to_pylist(), strict=True))
    labels[first.sample_id] = first.suggested
    del labels[second.sample_id]
    return out, labels


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def hub() -> Iterator[Hub]:
    one = Hub(NAME, TOKEN)
    yield one
    one.close()


@pytest.fixture
def push(swept, hub, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path):
    """Return what applies and pushes in this process, and returns the exit code, what it said, and its errors."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def run(*options: str, target: str = f"hub:{NAME}") -> tuple[int, str, str]:
        code = labelsweep(["apply", "--yes", "--no-gain", "--push", target, *options, "--out", str(swept[0])])
        return code, *capsys.readouterr()

    return run


def test_version_arrives_whole_with_a_card_that_the_datasets_library_reads(swept, hub, push, tmp_path):
    code, said, err = push()
    assert code == 0, err
    assert f"pushed: {hub.url}/datasets/{NAME}/commit/1" in said
    assert (hub.made["type"], hub.made["visibility"]) == ("dataset", "private")
    assert hub.messages == ["v0001: 1 relabeled, 1 dropped"]
    for name, content in hub.files.items():
        (tmp_path / name).write_bytes(content)
    card = (tmp_path / "README.md").read_text()
    assert "1 relabeled, 1 dropped" in card
    assert "| (dropped) |" in card
    found = datasets.load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))["train"]
    assert dict(zip(found["id"], found["label"], strict=True)) == swept[1]
    assert push()[0] == 0, "the repository is there, and the version is the same"


def test_hub_is_the_one_that_the_environment_names(swept, hub, tmp_path):
    """Another process, which reads the Hub's variables as it starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": TOKEN,
    }
    arguments = ["apply", "--yes", "--no-gain", "--push", f"hub:{NAME}", "--out", str(swept[0])]
    command = [sys.executable, "-P", "-m", "flows.cli", *arguments]
    done = subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert hub.files.keys() >= {"README.md"}


def test_dry_run_lists_what_would_be_sent_and_needs_no_token(hub, push, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    code, said, err = push("--dry-run")
    assert code == 0, err
    listed = said.partition(f"would be sent to {NAME}:\n")[2].split()
    assert "README.md" in listed
    assert any(name.startswith("pets.") for name in listed)
    assert (hub.made, hub.files) == (None, {})


def check_one_line(done: tuple[int, str, str], says: str) -> None:
    code, _, err = done
    line = err.strip().splitlines()[-1]
    assert code == 2, err
    assert line.startswith(f"labelsweep: error: {says}"), err
    assert "Traceback" not in err


def test_push_without_a_token_says_how_to_get_one(hub, push, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    check_one_line(push(), "--push: there is no token for the Hub; `hf auth login`")
    assert hub.made is None


def test_push_to_a_place_that_the_token_may_not_write_to_is_refused(hub, push, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    check_one_line(push(), f"hub:{NAME}: the Hub refused it (403 Forbidden")
    assert hub.files == {}


def test_push_without_a_network_says_so(push, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free_port()}")
    check_one_line(push(), f"hub:{NAME}: the Hub does not answer (ConnectError")


def test_push_to_what_is_no_data_set_of_the_hub_is_refused(push):
    check_one_line(
        push(target="s3://team/pets"),
        "--push: 's3://team/pets' names no data set of the Hub; write hub:OWNER/NAME",
    )


def test_package_that_is_not_installed_is_named(push, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    check_one_line(push(), "--push: huggingface_hub is not installed; pip install 'labelsweep[hub]'")


def test_dry_run_alone_means_nothing(swept, capsys):
    done = labelsweep(["apply", "--dry-run", "--out", str(swept[0])])
    check_one_line((done, *capsys.readouterr()), "--dry-run: there is nothing to send without --push")
