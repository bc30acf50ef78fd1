"""What a campaign of troubles does to files, and how it counts."""

import random

from tasks.bench.faults.strikes import damage, how_it_ended
from tasks.bench.faults.troubles_tally import Struck, add_trial, read_trials, table, wrong_with

TRIALS = [
    Struck(number=0, kind="full", stage="sweep", done="4 kB left on the disk", ended="refused"),
    Struck(number=1, kind="full", stage="sweep", done="9 kB left on the disk", ended="survived"),
    Struck(number=2, kind="full", stage="sweep", done="0 kB left on the disk", ended="a traceback"),
    Struck(number=3, kind="kill", stage="apply", done="SIGKILL", ended="killed", lost=("gain.json differs",)),
]


def test_parts_of_a_campaign_are_joined_by_their_tally(tmp_path):
    tally = tmp_path / "tally.jsonl"
    for trial in TRIALS:
        add_trial(tally, trial)
    assert read_trials(tally) == TRIALS


def test_table_counts_how_programs_ended_and_names_every_trial_with_something_wrong():
    text = table(TRIALS)
    assert "| disk full | sweep | 3 | 1 | 1 | 0 | 1 | 3 |" in text
    assert "| SIGKILL | apply | 1 | 0 | 0 | 1 | 0 | 0 |" in text
    assert [trial.number for trial in TRIALS if wrong_with(trial)] == [2, 3]
    assert "| 3 | SIGKILL | gain.json differs |" in text


def test_end_with_one_line_is_a_refusal_and_any_other_is_not():
    assert how_it_ended(1, "labelsweep: error: the disk is full") == "refused"
    assert how_it_ended(1, "one\ntwo") == "more or less than one line"
    assert how_it_ended(1, "") == "more or less than one line"
    assert how_it_ended(-9, "") == "killed"
    assert how_it_ended(1, "Traceback (most recent call last):\n  MemoryError") == "a traceback"


def test_damaged_file_differs_from_what_it_was(tmp_path):
    path, content = tmp_path / "file", bytes(range(1, 256)) * 8
    for seed in range(20):
        path.write_bytes(content)
        assert damage(path, random.Random(seed)).startswith("file damaged")  # noqa: S311 (no secret)
        assert path.read_bytes() != content
