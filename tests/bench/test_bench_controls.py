"""The table of planted controls counts what it says, on real settings, and resumes where it stopped."""

from pathlib import Path

import pytest

from tasks.bench.command import main
from tasks.bench.quality.campaign import Setting, list_methods, pick_methods
from tasks.bench.quality.controls import judge_controls, list_estimates, make_control_tables
from tasks.bench.quality.ours import NETWORKS

ABOUT = {
    "setting": "wine/uniform/20",
    "data": "wine",
    "noise": "uniform",
    "rate": 0.2,
    "half": "final",
    "seed": 0,
}


def test_an_interval_counts_where_it_holds_the_truth() -> None:
    row = ABOUT | {
        "recall": [0.9, 0.8, 1.0, 0.8],
        "precision": [0.5, 0.4, 0.6, None],  # nothing was flagged
        "noise_rate": [0.2, 0.19, 0.21, 0.3],
        "class_rate": [[0.1, 0.0, 0.2, 0.1], [0.1, 0.0, 0.2, 0.4]],
    }
    frame = list_estimates([row])
    assert frame.groupby("quantity").within.mean().to_dict() == {
        "recall": 1,
        "noise_rate": 0,
        "class_rate": 0.5,
    }
    assert frame.width.tolist() == pytest.approx([0.2, 0.02, 0.2, 0.2])


def test_estimates_of_a_real_setting_stand_beside_its_truth() -> None:
    row = judge_controls(Setting("breast_cancer", "uniform", 0.2), seed=0)
    errors = round(0.2 * 426) / 426
    assert row["noise_rate"][3] == pytest.approx(errors)
    assert len(row["class_rate"]) == 2
    for estimate, low, high, truth in (
        row["recall"],
        row["precision"],
        row["noise_rate"],
        *row["class_rate"],
    ):
        assert 0 <= low <= estimate <= high <= 1
        assert 0 <= truth <= 1
    assert abs(row["noise_rate"][0] - errors) < 0.05
    text = make_control_tables([row])
    assert "1 settings, 1 seeds" in text
    assert "share of wrong labels, of each class" in text
    assert row["purity"] == row["precision"][3]
    assert f"| {row['verdict']} " in text
    assert row["verdict"] in ("strong", "fair")


def test_the_command_prints_the_table_and_keeps_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--data", "wine", "--noise", "uniform", "--rates", "20", "--seeds", "1"]
    arguments = ["quality", "--controls", *chosen, "--out", str(tmp_path / "kept.jsonl")]
    main(arguments)
    first = capsys.readouterr()
    assert "| recall of what is flagged " in first.out
    assert first.err == "1/1 controls of wine/uniform/20 seed 0\n"
    main(arguments)
    again = capsys.readouterr()
    assert again.out == first.out
    assert not again.err


def test_networks_stand_in_the_table_where_they_are_asked_for() -> None:
    named = set(pick_methods(("networks",)))
    assert {"MLP, consensus", "MLP, influence, every parameter"} <= named
    assert not named & set(pick_methods())
    assert {method.name for method in list_methods() if method.block == NETWORKS} == named
