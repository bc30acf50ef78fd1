"""Workers of a real Dask scheduler give the bits of one process, also when one of them is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from head_problems import clouds

from tasks.arrays import Array
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import score_blocks
from tasks.errors import InputError
from tasks.heads.cluster import DaskCluster, place_of
from tasks.heads.design import make_design
from tasks.heads.executor import Executor
from tasks.heads.feature_map import make_raw_map
from tasks.heads.features import FileFeatures
from tasks.heads.newton import fit_newton
from tasks.heads.rows import EncodedRows
from tasks.heads.softmax import SoftmaxStack
from tasks.heads.solve import solve_newton_step
from tasks.records import FeatureFile


@dataclass
class Dask:
    """A scheduler with two workers, each a process of its own."""

    address: str
    workers: list[subprocess.Popen[bytes]]


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "dask", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    processes = [
        start(
            folder,
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        )
    ]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker = (
            "worker",
            "--scheduler-file",
            str(file),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--no-nanny",
            "--host",
            "127.0.0.1",
        )
        processes += [start(folder, *worker) for _ in range(2)]
        import json

        address = json.loads(file.read_text())["address"]
        place = place_of(address)
        assert isinstance(place, DaskCluster)
        place.client.wait_for_workers(2, timeout=60)
        yield Dask(address, processes[1:])
        place.client.close()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def problem(folder: Path, place: Executor, rows: int = 2_000) -> SoftmaxStack:
    raw, labels = clouds(rows, 6, 4)
    path = folder / "features.f32"
    raw.astype("<f4").tofile(path)
    x = torch.from_numpy(raw).float()
    file = FeatureFile(path=path, rows=rows, width=6)
    features = FileFeatures(file, torch.empty(0), block_rows=100)
    return SoftmaxStack(
        EncodedRows(features, make_raw_map(x.mean(0), x.std(0))),
        torch.from_numpy(labels),
        4,
        make_design(labels, "crossfit", 3, seed=0),
        1e-2,
        torch.ones(rows, dtype=torch.bool),
        place=place,
    )


def scored(stack: SoftmaxStack) -> tuple[Array, ...]:
    fit = fit_newton(stack, solve_newton_step)
    solution = solve_ihvp(stack, fit.theta, "cg")
    blocks = list(score_blocks(stack, fit.theta, solution.vector))
    assert fit.converged
    assert solution.converged
    assert [b.rows.start for b in blocks] == sorted(b.rows.start for b in blocks)
    return (
        fit.theta.numpy(),
        torch.cat([b.influence for b in blocks]).numpy(),
        torch.cat([b.probabilities for b in blocks]).numpy(),
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Array, ...]:
    return scored(problem(tmp_path_factory.mktemp("alone"), place_of(None)))


def test_two_workers_give_the_bits_of_one_process(
    dask: Dask, alone: tuple[Array, ...], tmp_path: Path
) -> None:
    together = scored(problem(tmp_path, place_of(dask.address)))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(alone, together, strict=True))


def test_a_worker_killed_in_the_middle_changes_nothing(
    dask: Dask, alone: tuple[Array, ...], tmp_path: Path
) -> None:
    place = place_of(dask.address)
    assert isinstance(place, DaskCluster)
    stack = problem(tmp_path, place)
    calls, original = [], place.map

    def kill_after_some(*arguments: object, **keywords: object) -> object:
        for result in original(*arguments, **keywords):  # type: ignore[arg-type]
            calls.append(1)
            if len(calls) == 13:  # in the middle of a sum over 5 parts, with others under way
                dask.workers[0].send_signal(signal.SIGKILL)
            yield result

    place.map = kill_after_some  # type: ignore[method-assign, assignment]
    together = scored(stack)
    assert dask.workers[0].wait(timeout=10) == -signal.SIGKILL
    assert len(calls) > 20
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(alone, together, strict=True))


def test_a_scheduler_that_is_not_there_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.heads.cluster.PATIENCE", 1)
    with pytest.raises(InputError, match=r"--dask tcp://127.0.0.1:9: .*does not answer"):
        place_of("tcp://127.0.0.1:9")
