"""`--dask` on the flow: a scheduler and workers, started as the documentation says, give the bytes of one process."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from flows.clean import clean_labels
from flows.cli import run as labelsweep
from flows.config import CleanParameters
from tasks.synthesize import synthesize

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[str]:
    """Start what the documentation says, on a free port; return the scheduler's address."""
    readme = (ROOT / "docs" / "large-data.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(dask (?:scheduler|worker) [^#\n]*)", readme, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["scheduler", "worker"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    folder = tmp_path_factory.mktemp("cluster")
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    processes = []
    for command in (commands[0], commands[1], commands[1]):
        words = [sys.executable, "-m", *command.replace("8786", port).split(), "--no-dashboard"]
        processes.append(
            subprocess.Popen(
                words, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def computed(client: Client) -> int:
    """Return how many tasks the workers have run."""
    return sum(client.run(lambda dask_worker: dask_worker.state.executed_count).values())


def test_flow_with_a_cluster_ends_with_the_bytes_of_one_process(prefect_server, cluster, tmp_path):
    source = synthesize(tmp_path / "blobs.parquet", rows=500, dimension=4, sigma=0.4, flips=0.05, seed=0)
    small = {"source": str(source), "rounds": 1, "feature_map": "raw", "folds": 3, "controls": 0.0}
    alone = clean_labels(CleanParameters(out=tmp_path / "alone", **small))
    deadline = time.monotonic() + 60
    with Client(cluster, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=max(1, deadline - time.monotonic()))
        together = clean_labels(CleanParameters(out=tmp_path / "together", dask=cluster, **small))
        assert computed(client) > 10
    for name in ("scores.parquet", "queue.parquet"):
        assert (together.folder / name).read_bytes() == (alone.folder / name).read_bytes()


@pytest.mark.parametrize("model", ["mlp", "cnn", "mynet:factory"])
def test_cluster_for_a_network_is_refused_in_one_line(model, tmp_path, capsys):
    command = ["clean", "sample:digits", "--model", model, "--dask", "tcp://127.0.0.1:8786", "--out"]
    assert labelsweep([*command, str(tmp_path)]) == 2
    assert f"--dask: must be left out with --model {model}" in capsys.readouterr().err
