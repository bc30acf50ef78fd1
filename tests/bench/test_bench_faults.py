"""What a campaign of faults does to files, how it counts, and that it resumes."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.bench.faults import campaign
from tasks.bench.faults.campaign import Plan, make_fault_table
from tasks.bench.faults.harm import damage_file
from tasks.bench.faults.programs import describe_end
from tasks.bench.faults.reference import count_finished_steps, find_broken_files
from tasks.bench.faults.trial import ALLOWED
from tasks.bench.tally import Row, read_rows, run_campaign
from tasks.errors import InputError


def make_trial(case: str, way: str, stage: str, done: str, ended: str, **more: object) -> Row:
    lost = more.get("lost", [])
    wrong = [*([] if ended in ALLOWED else [ended]), *lost]
    about = {"case": case, "way": way, "stage": stage, "done": done, "ended": ended, "wrong": wrong}
    return about | {"kept": [], "late": 0, "lost": lost, "undisturbed": 9.0} | more


TRIALS = [
    make_trial("trouble 0", "full", "sweep", "4 kB left on the disk", "refused", kept=[3]),
    make_trial("trouble 1", "full", "sweep", "9 kB left on the disk", "survived", kept=[4]),
    make_trial("trouble 2", "full", "sweep", "0 kB left on the disk", "a traceback", late=1),
    make_trial("trouble 3", "kill", "apply", "SIGKILL", "killed", lost=["gain.json differs"]),
    make_trial("trouble 4", "run", "sweep", "SIGKILL", "killed", kept=[4, 7]),
]


def test_every_trouble_meets_every_stage_in_forty_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: dict[str, Plan] = {}
    monkeypatch.setattr(campaign, "run_trials", lambda cases, *_: planned.update(cases))
    campaign.run_troubles(trials=40)
    assert len({(way, stage) for way, stage, _ in planned.values()}) == 8 * 3
    campaign.run_kills(kills=12)
    assert sum(strikes for way, _, strikes in planned.values() if way == "worker") >= 3


def test_part_that_is_none_is_refused() -> None:
    for part in ("0/2", "3/2", "half"):
        with pytest.raises(InputError, match="no part"):
            campaign.run_kills(part=part)


def test_no_case_begins_after_the_deadline_and_what_is_kept_is_returned(tmp_path: Path) -> None:
    cases, kept = {"a": 1, "b": 2}, tmp_path / "kept.jsonl"
    assert run_campaign({"a": 1}, lambda n, _: [{"n": n}], kept) == [{"case": "a", "n": 1}]
    assert run_campaign(cases, lambda n, _: [{"n": n}], kept, seconds=0) == [{"case": "a", "n": 1}]


@pytest.mark.parametrize("text", ["nothing", "nothing\n", "[1]\n", '{"a": 1}\nnothing\n'])
def test_file_that_is_no_tally_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="no tally of a benchmark"):
        read_rows(path)
    assert path.read_text() == text


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"

    def run(letters: str, change: Callable[[str], str]) -> list[str]:
        cases = dict(zip(letters, letters, strict=True))
        rows = run_campaign(cases, lambda key, _: [{"is": change(key)}], path)
        return [row["is"] for row in rows]

    assert run("ab", str.upper) == ["A", "B"]
    assert run("bc", str.lower) == ["B", "c"]


def test_table_counts_how_programs_ended_and_names_every_trial_with_something_wrong() -> None:
    text = " ".join(make_fault_table(TRIALS, 600).split())
    assert "5 trials, 4 strikes" in text
    assert "(an undisturbed run took 9.0 s); 1 more came after the end." in text
    assert "| disk full | sweep | 3 | 2 | 1 | 1 | 0 | 1 | 3 |" in text
    assert "| SIGKILL: the command, its whole process group | apply | 1 | 0 | 0 | 0 | 1 | 0 | 0 |" in text
    assert "| SIGKILL: a worker's run, its process | sweep | 1 | 2 | 0 | 0 | 1 | 0 | 1 |" in text
    assert "| trouble 3 | SIGKILL | gain.json differs |" in text
    assert "| trouble 2 | 0 kB left on the disk | a traceback |" in text
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
        assert damage_file(path, random.Random(seed)).startswith("file damaged")  # noqa: S311 (no secret)
        assert path.read_bytes() != content


def test_half_written_file_is_seen_and_one_that_is_being_written_is_not(tmp_path: Path) -> None:
    steps = tmp_path / "runs" / "blobs-1" / "steps"
    steps.mkdir(parents=True)
    (steps / "ingest.json").write_text("{}")
    (steps / "fit.json").write_text('{"step": "f')
    (steps / ".flag.json.x.partial").write_text("{")
    assert count_finished_steps(tmp_path) == 2
    assert [path.name for path in find_broken_files(tmp_path)] == ["fit.json"]
