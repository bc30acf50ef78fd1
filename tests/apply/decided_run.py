"""One audited run on digits with planted errors, and decisions on it."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))

from run_folder import digits_run

from tasks.encode.step import encode
from tasks.review.log import DecisionLog, log_path
from tasks.review.queue import load_queue
from tasks.review.state import Answer, Review
from tasks.runs.finished import read_audit_options, read_dataset
from tasks.storage import finish_run


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audited")
    run = digits_run(out, n=500)
    encode.fn(read_dataset(run), run, read_audit_options(run))
    finish_run(run)
    return out


@pytest.fixture
def out(audited: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(audited, tmp_path / "data", symlinks=True))


@pytest.fixture
def run(out: Path) -> Path:
    return out / "runs" / "digits-run"


def truth_of(run: Path) -> dict[str, str]:
    table = pq.read_table(run / "truth.parquet")
    return dict(zip(table["sample_id"].to_pylist(), table["true_label"].to_pylist(), strict=True))


def decide(out: Path, run: Path, answers: Iterable[tuple[str, str, str]]) -> None:
    """Write answers (sample, reviewer, verdict or label), as the page does."""
    log = DecisionLog(log_path(out))
    review = Review(load_queue(run), log)
    items = {item.sample_id: item for item in review.queue.items if not item.is_control}
    for sample_id, reviewer, answer in answers:
        item = items[sample_id]
        is_verdict = answer in ("keep", "drop", "unsure", "suggestion")
        review.decide([item], Answer(answer) if is_verdict else Answer("relabel", answer), reviewer)
    log.close()


def decide_by_truth(out: Path, run: Path, reviewer: str = "Ada") -> None:
    """Review the whole queue without a mistake."""
    truth = truth_of(run)
    decide(out, run, [(item.sample_id, reviewer, truth[item.sample_id]) for item in load_queue(run).items])
