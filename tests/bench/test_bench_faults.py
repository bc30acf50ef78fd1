"""What a campaign of faults does to files, how it counts, and that it resumes."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.bench.faults.campaign import count_strikes, make_fault_table
from tasks.bench.faults.harm import damage
from tasks.bench.faults.programs import describe_end
from tasks.bench.faults.reference import count_finished_steps, find_broken_files
from tasks.bench.faults.trial import Trial
from tasks.bench.tally import ResultFile, run_campaign
from tasks.errors import InputError

TRIALS = [
    Trial(number=0, way="full", stage="sweep", done="4 kB left on the disk", ended="refused", kept=[3]),
    Trial(number=1, way="full", stage="sweep", done="9 kB left on the disk", ended="survived", kept=[4]),
    Trial(number=2, way="full", stage="sweep", done="0 kB left on the disk", ended="a traceback", late=1),
    Trial(number=3, way="kill", stage="apply", done="SIGKILL", ended="killed", lost=["gain.json differs"]),
    Trial(number=4, way="run", stage="sweep", done="SIGKILL", ended="killed", kept=[4, 7]),
]


def test_campaign_resumes_after_the_trials_that_were_kept(tmp_path: Path) -> None:
    path, about = tmp_path / "tally.jsonl", {"rows": 600, "seed": 0}
    tally = ResultFile(path, about)
    for trial in TRIALS:
        tally.add(trial.model_dump(mode="json"))
    path.write_text(path.read_text() + '{"number": 6, "wa')  # killed while it wrote
    assert [Trial.model_validate(row) for row in ResultFile(path, about).rows] == TRIALS
    with pytest.raises(InputError, match=r"a tally of .*600, .*0"):
        ResultFile(path, {"rows": 600, "seed": 1})


@pytest.mark.parametrize("text", ["nothing", "nothing\n", "[1]\n", '{"a": 1}\nnothing\n'])
def test_file_that_is_no_tally_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="no tally of a benchmark"):
        ResultFile(path)
    assert path.read_text() == text


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"

    def run(letters: str, change: Callable[[str], str]) -> list[str]:
        rows = run_campaign(
            dict(zip(letters, letters, strict=True)), lambda key, _: [{"is": change(key)}], ResultFile(path)
        )
        return [row["is"] for row in rows]

    assert run("ab", str.upper) == ["A", "B"]
    assert run("bc", str.lower) == ["B", "c"]


def test_table_counts_how_programs_ended_and_names_every_trial_with_something_wrong() -> None:
    text = " ".join(make_fault_table(TRIALS, 600, 9.0).split())
    assert count_strikes(TRIALS) == 4
    assert "5 trials, 4 strikes" in text
    assert "(an undisturbed run took 9.0 s); 1 more came after the end." in text
    assert "| disk full | sweep | 3 | 2 | 1 | 1 | 0 | 1 | 3 |" in text
    assert "| SIGKILL: the command, its whole process group | apply | 1 | 0 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "| SIGKILL: a worker's run, its process | sweep | 1 | 2 | 0 | 0 | 1 | 0 | 1 |" in text
    assert "| 3 | SIGKILL | gain.json differs |" in text
    assert [trial.number for trial in TRIALS if trial.wrong] == [2, 3]
    assert "| 3 | 1 | | 4 | 2 | | 7 | 1 |" in text


def test_end_with_one_line_is_a_refusal_and_any_other_is_not() -> None:
    assert describe_end(1, "labelsweep: error: the disk is full") == "refused"
    assert describe_end(1, "one\ntwo") == "more or less than one line"
    assert describe_end(1, "") == "more or less than one line"
    assert describe_end(-9, "") == "killed"
    assert describe_end(1, "Traceback (most recent call last):\n  MemoryError") == "a traceback"


def test_damaged_file_differs_from_what_it_was(tmp_path: Path) -> None:
    path, content = tmp_path / "file", bytes(range(1, 256)) * 8
    for seed in range(20):
        path.write_bytes(content)
        assert damage(path, random.Random(seed)).startswith("file damaged")  # noqa: S311 (no secret)
        assert path.read_bytes() != content


def test_half_written_file_is_seen_and_one_that_is_being_written_is_not(tmp_path: Path) -> None:
    steps = tmp_path / "runs" / "blobs-1" / "steps"
    steps.mkdir(parents=True)
    (steps / "ingest.json").write_text("{}")
    (steps / "fit.json").write_text('{"step": "f')
    (steps / ".flag.json.x.partial").write_text("{")
    assert count_finished_steps(tmp_path) == 2
    assert [path.name for path in find_broken_files(tmp_path)] == ["fit.json"]
