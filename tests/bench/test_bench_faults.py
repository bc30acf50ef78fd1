"""A fault campaign in parts, and its table."""

from pathlib import Path

import pytest

from tasks.bench.faults.files import broken_files, finished_steps
from tasks.bench.faults.kills_tally import Kill, Plan, Trial, add_trial, count_kills, read_tally, table
from tasks.errors import InputError

TRIALS = [
    Trial(number=0, way="run", kills=(Kill(after_steps=3, part=0.5, kept=4),)),
    Trial(
        number=1,
        way="both",
        kills=(Kill(after_steps=1, part=0.1, kept=1), Kill(after_steps=4, part=0.9, kept=4)),
        too_late=1,
        lost={"queue.csv differs": 1},
    ),
]


def test_campaign_goes_on_after_the_trials_that_were_kept(tmp_path):
    tally, plan = tmp_path / "tally.jsonl", Plan(rows=600, seed=0)
    assert read_tally(tally, plan) == []
    for trial in TRIALS:
        add_trial(tally, trial)
    assert read_tally(tally, plan) == TRIALS
    with pytest.raises(InputError, match="a campaign with --rows 600 --seed 0"):
        read_tally(tally, Plan(rows=600, seed=1))


def test_table_counts_kills_and_what_was_lost():
    text = table(TRIALS, 9.0, 600)
    assert count_kills(TRIALS) == 3
    assert text.startswith("3 kills (SIGKILL)")
    assert "| a worker's run, its process | 1 | 1 | 1 |" in text
    assert "| the worker together with its run | 2 | 1 | 0 |" in text
    assert "| queue.csv differs | 1 |" in text
    assert "| 4 | 2 |" in text


def test_half_written_file_is_seen_and_one_that_is_being_written_is_not(tmp_path: Path):
    steps = tmp_path / "runs" / "blobs-1" / "steps"
    steps.mkdir(parents=True)
    (steps / "ingest.json").write_text("{}")
    (steps / "fit.json").write_text('{"step": "f')
    (steps / ".flag.json.x.partial").write_text("{")
    assert finished_steps(tmp_path) == 2
    assert [path.name for path in broken_files(tmp_path)] == ["fit.json"]
