"""`labelsweep apply`, `diff` and `restore`, as a person or a program calls them."""

import json
import os
import pty
import sys
from pathlib import Path

import pytest
from decided_run import decide, decide_by_truth

from flows.cli import run as labelsweep
from tasks.apply.version import list_versions
from tasks.review.queue import load_queue


@pytest.fixture
def two_changes(run: Path, out: Path) -> Path:
    """A relabel by two reviewers, a drop, and a tie."""
    first, second, third = load_queue(run).items[:3]
    decide(
        out,
        run,
        [
            (first.sample_id, "Ada", "suggestion"),
            (first.sample_id, "Bo", "suggestion"),
            (second.sample_id, "Ada", "drop"),
            (third.sample_id, "Ada", "suggestion"),
            (third.sample_id, "Bo", "keep"),
        ],
    )
    return out


def test_it_shows_what_would_change_and_writes_nothing_unasked(two_changes: Path, run: Path, capsys):
    assert labelsweep(["apply", "--out", str(two_changes)]) == 0
    printed = capsys.readouterr()
    first, second, third = load_queue(run).items[:3]
    assert "Changes:   2 samples" in printed.out
    assert f"  {first.given} → {first.suggested}  1" in printed.out
    assert f"Dropped\n  {second.given}  1" in printed.out
    assert "Samples of each class" in printed.out
    assert "Left out: 1" in printed.out
    assert f"{third.sample_id}  given {third.given}  the reviewers disagree" in printed.out
    assert printed.err == (
        "labelsweep: newest run: digits-run\nlabelsweep: nothing was written; --yes applies it\n"
    )
    assert not (two_changes / "datasets").exists()


def test_with_yes_it_writes_the_version_and_says_where(two_changes: Path, capsys):
    arguments = ["apply", "--out", str(two_changes), "--yes", "--no-gain"]
    assert labelsweep(arguments) == 0
    folder = two_changes / "datasets" / "digits" / "v0001"
    assert f"{folder}: written." in capsys.readouterr().out
    assert labelsweep(arguments) == 0
    assert "already holds these decisions, nothing was written" in capsys.readouterr().out
    assert len(list_versions(two_changes, "digits")) == 2


def test_json_is_all_there_is_on_standard_output(two_changes: Path, capsys):
    arguments = ["apply", "--out", str(two_changes), "--json"]
    assert labelsweep(arguments) == 0
    dry = json.loads(capsys.readouterr().out)
    assert (dry["changes"], dry["version"], dry["folder"]) == (2, None, None)
    assert [one["why"] for one in dry["left_out"]] == ["the reviewers disagree"]
    assert labelsweep([*arguments, "--yes"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["new"], done["version"]["number"]) == (True, 1)
    assert done["confusion"] == dry["confusion"]
    assert sum(row["before"] - row["after"] for row in done["classes"].values()) == 1
    assert done["gain"]["log_loss"].keys() == {"before", "after", "gain", "low", "high"}
    assert done["gain"]["predicted"]["changes"] == 2


@pytest.mark.parametrize(("answer", "written"), [("n", 0), ("y", 2)])
def test_on_a_terminal_it_asks_first(
    two_changes: Path, answer: str, written: int, monkeypatch: pytest.MonkeyPatch, capsys
):
    person, terminal = pty.openpty()
    os.write(person, f"{answer}\n".encode())
    with os.fdopen(terminal) as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        assert labelsweep(["apply", "--out", str(two_changes), "--no-gain"]) == 0
    os.close(person)
    assert "Write a new version with 2 changes? [y/N]" in capsys.readouterr().err
    assert len(list_versions(two_changes, "digits")) == written


def test_nothing_to_apply_is_said_and_is_no_error(run: Path, out: Path, capsys):
    assert labelsweep(["apply", "--out", str(out), "--yes"]) == 0
    assert "Nothing to apply: no decision changes a label." in capsys.readouterr().out


def test_the_rule_for_several_reviewers_is_an_option(two_changes: Path, capsys):
    assert labelsweep(["apply", "--out", str(two_changes), "--conflicts", "latest"]) == 0
    printed = capsys.readouterr().out
    assert "Left out" not in printed
    assert "Rule for several reviewers: the newest answer." in printed


def test_diff_and_restore_name_versions_as_people_do(two_changes: Path, run: Path, capsys):
    out = ["--out", str(two_changes)]
    assert labelsweep(["apply", *out, "--yes", "--no-gain"]) == 0
    capsys.readouterr()
    assert labelsweep(["diff", "v0000", "1", *out]) == 0
    first, second = load_queue(run).items[:2]
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines == sorted(
        [
            f"relabel  {first.sample_id}  {first.given} → {first.suggested}",
            f"drop     {second.sample_id}  {second.given} → -",
        ]
    )
    assert labelsweep(["diff", "0", "1", *out, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    assert labelsweep(["restore", "digits/v0000", *out]) == 0
    assert f"{two_changes / 'datasets' / 'digits' / 'v0002'}: written." in capsys.readouterr().out
    assert labelsweep(["diff", "0", "2", *out]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["apply", "nowhere"], r"no run 'nowhere'; see `labelsweep runs`"),
        (["diff", "0", "1"], "no data set has versions; labelsweep apply makes one"),
        (["restore", "3"], "no data set has versions; labelsweep apply makes one"),
        (["apply", "--conflicts", "loudest"], "'loudest' is not one of 'majority', 'unanimous', 'latest'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: Path, out: Path, capsys, arguments: list[str], says: str):
    assert labelsweep([*arguments, "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert says in printed.err


@pytest.mark.parametrize("command", [["apply", "--yes"], ["export", "--to", "csv"], ["review"]])
def test_results_that_are_named_beside_a_run_of_others_are_refused(
    command, run: Path, tmp_path: Path, capsys
):
    elsewhere = tmp_path / "elsewhere"
    for named, out in ((str(run), str(elsewhere)), ("s3://labels/a/runs/cats-1", "s3://labels/b")):
        assert labelsweep([*command, named, "--out", out]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert f"--out {out}: the run is in other results, {named.rpartition('/runs/')[0]}" in line
    assert not elsewhere.exists()


def test_a_run_named_by_its_folder_brings_its_results_and_may_name_them(two_changes: Path, run: Path, capsys):
    for more in ([], ["--out", str(two_changes)]):
        assert labelsweep(["apply", str(run), "--yes", "--no-gain", *more]) == 0
        assert str(two_changes / "datasets" / "digits" / "v0001") in capsys.readouterr().out


def test_the_decisions_of_a_damaged_log_are_not_applied(run: Path, out: Path, capsys):
    decide_by_truth(out, run)
    (out / "decisions.sqlite").write_bytes(b"not a database" * 100)
    for name in ("decisions.sqlite-wal", "decisions.sqlite-shm"):
        (out / name).unlink(missing_ok=True)
    assert labelsweep(["apply", "--out", str(out), "--yes"]) == 2
    assert "cannot be used as the decision log" in capsys.readouterr().err
    assert not (out / "datasets").exists()
