"""The memory that a run may fill: how it is written, and that it decides nothing but where things lie."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.memory import choose_memory_budget, parse_size, read_machine_memory
from tasks.options import AuditOptions
from tasks.records import Scores
from tasks.runs.step import run_or_reuse
from tasks.storage import open_parquet, write_table


@pytest.mark.parametrize(
    ("text", "size"), [("64MB", 64e6), ("1.5 GiB", 1.5 * 2**30), ("2g", 2e9), ("100000000", 1e8)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: float) -> None:
    assert AuditOptions(memory=text).memory == size


@pytest.mark.parametrize("text", ["much", "-4GB", "4 apples", "1MB", "9" * 400 + "GB"])
def test_what_is_no_size_or_too_small_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|greater"):
        AuditOptions(memory=text)


def test_a_quarter_of_the_machine_unless_said() -> None:
    assert choose_memory_budget(AuditOptions(memory="").memory) == read_machine_memory() // 4
    assert parse_size(5) == 5


def test_another_budget_does_not_make_a_step_run_again(tmp_path: Path) -> None:
    scores = Scores(path=tmp_path, round=1, rows=0, flagged=0, residual=0.0, converged=True)
    runs = []

    def work() -> Scores:
        runs.append(1)
        return scores

    for options in (AuditOptions(), AuditOptions(memory="1GB"), AuditOptions(seed=1)):
        run_or_reuse("attribute", tmp_path, Scores, {"options": options}, work)
    assert len(runs) == 2  # the seed counts, the memory does not


def test_reading_a_file_batch_by_batch_does_not_keep_what_was_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(2_000_000)  # 16 MB that do not compress
    pq.write_table(pa.table({"x": values}), tmp_path / "x.parquet", row_group_size=100_000)
    before, most = pa.total_allocated_bytes(), 0
    with open_parquet(tmp_path / "x.parquet") as file:
        for _ in file.iter_batches(100_000):
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8e6


def test_our_own_files_are_read_without_a_thread_that_might_not_start(tmp_path: Path) -> None:
    write_table(pa.table({name: list(range(1000)) for name in "abcdefgh"}), tmp_path / "t.parquet")
    code = (
        "import os, sys; from pathlib import Path; from tasks.storage import open_parquet, read_parquet\n"
        "path, before = Path(sys.argv[1]), len(os.listdir('/proc/self/task'))\n"
        "print(read_parquet(path, columns=['c', 'a']).column_names, sum(len(b) for b in open_parquet(path).iter_batches(100)))\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "t.parquet")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["['c', 'a'] 1000", "0"]
