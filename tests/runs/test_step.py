"""A step runs again where any argument is another, and only then."""

import json
from pathlib import Path

import pytest

from tasks.options import AuditOptions
from tasks.records import Report
from tasks.runs.step import step, step_key


class Drawn:
    """Steps that count how often they run."""

    def __init__(self) -> None:
        self.times = 0
        self.keys: list[str] = []

        @step(reads=lambda given: {"beside": (given["folder"] / "beside").exists()})
        def report(
            options: AuditOptions, folder: Path, words: Path | None = None, *, anew: bool = False
        ) -> Report:
            """Make a page."""
            self.times += 1
            self.keys.append(step_key())
            return Report(html=folder / "a.html", summary=folder / "b.json")

        @step(round_of=lambda given: given["number"])
        def fit(number: int, folder: Path) -> Report:
            """Make a page in each round."""
            return Report(html=folder / f"{number}.html", summary=folder / "b.json")

        self.report, self.fit = report, fit


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


def test_step_runs_again_where_any_argument_or_what_it_reads_changed(drawn, tmp_path):
    words, options = tmp_path / "words.txt", AuditOptions()
    words.write_text("a")
    calls = [
        lambda: drawn.report.fn(options, tmp_path),
        lambda: drawn.report.fn(AuditOptions(seed=1), tmp_path),
        lambda: drawn.report.fn(options, tmp_path, anew=True),
        lambda: drawn.report.fn(options, tmp_path, words),
    ]
    for number, call in enumerate(calls, start=1):
        assert call() == call()
        assert drawn.times == number
    words.write_text("b")
    calls[-1]()
    (tmp_path / "beside").touch()
    calls[-1]()
    assert drawn.times == len(set(drawn.keys)) == 6


def test_step_does_not_run_again_for_how_an_argument_is_given_or_for_a_budget(drawn, tmp_path):
    first = drawn.report.fn(AuditOptions(), tmp_path)
    assert drawn.report.fn(folder=tmp_path, options=AuditOptions(memory="1GB"), words=None) == first
    assert drawn.times == 1
    assert json.loads((tmp_path / "steps" / "report.json").read_text())["inputs"] == drawn.keys[0]


def test_step_of_each_round_has_a_record_of_its_own(drawn, tmp_path):
    for number in (1, 2):
        drawn.fit.fn(number, tmp_path)
    assert sorted(path.name for path in (tmp_path / "steps").iterdir()) == ["fit-1.json", "fit-2.json"]
