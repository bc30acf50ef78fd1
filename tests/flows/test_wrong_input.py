"""Every wrong input is one line that says what, where and how; nothing of the run is left behind."""

import errno
import json
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from flow_inputs import WRONG_INPUTS, good_table, parquet

from flows.cli import run


def complaint(capsys) -> str:
    """Return the one line that a failed command printed."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("labelsweep: error: ")
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_wrong_input_is_one_line_and_leaves_no_run(name, prefect_server, tmp_path, capsys):
    wrong = WRONG_INPUTS[name]
    out = tmp_path / "out"
    source = wrong.make(tmp_path)
    assert run(["clean", str(source), "--out", str(out), "--quiet", *wrong.options]) == 2
    line = complaint(capsys)
    for part in wrong.names:
        assert part in line
    assert not out.exists()


def test_unwritable_output_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert run(["clean", "sample:digits", "--out", str(out)]) == 2
    assert str(out) in complaint(capsys)


def test_data_over_the_tolerance_exit_3_and_the_report_says_why(prefect_server, tmp_path, capsys):
    labels = [None if n < 18 else ("cat", "dog")[n % 2] for n in range(60)]
    source = parquet(tmp_path, label=labels)
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet"]) == 3
    line = complaint(capsys)
    (folder,) = (path for path in (tmp_path / "out" / "runs").iterdir())
    assert str(folder / "report.html") in line
    assert (folder / "report.html").read_text().count("label") > 1
    assert not (folder / "manifest.json").exists()
    run(["runs", "--out", str(tmp_path / "out"), "--json"])
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["state"] == "failed"


def test_drift_that_stops_the_run_is_one_line_that_names_the_report_alone(prefect_server, tmp_path, capsys):
    source, options = tmp_path / "pets.csv", ["--out", str(tmp_path / "out"), "--quiet", "--drift", "stop"]
    rows = [f"{number},{number % 7},{('cat', 'dog')[number % 2]}\n" for number in range(60)]
    source.write_text("a,b,label\n" + "".join(rows))
    assert run(["clean", str(source), *options]) == 0
    source.write_text("a,b,label\n" + "".join(rows[:40]))
    capsys.readouterr()
    assert run(["clean", str(source), *options]) == 3
    line = complaint(capsys)
    assert "60 rows have become 40" in line
    assert line.endswith(("/report.html)", "/report.html"))
    assert line.count(str(tmp_path / "out")) == 1


def test_rows_within_the_tolerance_are_set_aside_and_the_run_goes_on(prefect_server, tmp_path, capsys):
    labels = [None if n < 3 else ("cat", "dog")[n % 2] for n in range(60)]
    source = parquet(tmp_path, label=labels)
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet", "--id", "id"]) == 0
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    assert any(line.endswith("3 in quarantine") for line in capsys.readouterr().out.splitlines())
    quarantine = pq.read_table(folder / "quarantine.parquet").to_pylist()
    assert [row["sample_id"] for row in quarantine] == ["row-0", "row-1", "row-2"]
    assert all("label" in row["reason"] for row in quarantine)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("fold: 3\n", ("config.yaml", "fold", "did you mean 'folds'?")),
        ("folds: 1\n", ("config.yaml", "folds", "at least 2", "1")),
        ("rounds: many\n", ("config.yaml", "rounds", "whole number", "many")),
        ("evaluation: all\n", ("config.yaml", "evaluation", "crossfit", "holdout", "trusted")),
        ("features: [x0, 3]\n", ("config.yaml", "features")),
        ("- folds\n", ("config.yaml",)),
        ("folds: [1\n", ("config.yaml", "line 2")),
        ("a: !!python/object/apply:os.system [true]\n", ("config.yaml",)),
    ],
)
def test_wrong_configuration_is_one_line(text, parts, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(text)
    assert run(["clean", "sample:digits", "--config", str(config), "--out", str(tmp_path / "out")]) == 2
    line = complaint(capsys)
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["clean"], "SOURCE"),
        (["clean", "a.csv", "b.csv"], "(b.csv); of several files, name the folder"),
        (["clean", "a.csv", "--folds"], "--folds"),
        (["clean", "a.csv", "--config", "absent.yaml"], "absent.yaml"),
        (["claen"], "clean"),
        (["bench", "speeed"], "quality"),
        (["synthesize"], "OUT"),
        (["synthesize", "two.csv", "--mean-0", "a,b"], "--mean-0"),
        (["runs", "--of", "x"], "--of"),
    ],
)
def test_wrong_command_line_is_one_line(arguments, part, capsys):
    assert run(arguments) == 2
    assert part in complaint(capsys)


def test_only_a_sweep_is_told_of_a_folder_for_several_files(capsys):
    assert run(["import", "run", "queue.csv"]) == 2
    assert complaint(capsys).endswith("(queue.csv)")


def test_benchmark_whose_peer_is_not_installed_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert run(["bench", "speed", "--parts", "cleanlab", "--most", "1000"]) == 2
    assert "benchmark 'speed' needs cleanlab" in capsys.readouterr().err


def test_terminal_escapes_in_a_file_name_do_not_reach_the_terminal(tmp_path, capsys):
    name = "evil\x1b[31m\nname.csv"
    assert run(["clean", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
    assert "\x1b" not in complaint(capsys)


def test_a_user_file_runs_with_defaults(prefect_server, tmp_path, capsys):
    table = good_table()
    flipped = ["dog" if n == 0 else label for n, label in enumerate(table["label"].to_pylist())]
    source = parquet(tmp_path, label=flipped)
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet", "--id", "id"]) == 0
    queue = pq.read_table(tmp_path / "out" / "runs" / "latest" / "queue.parquet").to_pylist()
    assert (queue[0]["sample_id"], queue[0]["given_label"], queue[0]["suggested_label"]) == (
        "row-0",
        "dog",
        "cat",
    )
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("queue:"))
    assert Path(line.removeprefix("queue:  ")).is_file()


def test_error_that_nobody_foresaw_is_one_line_and_its_traceback_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("LABELSWEEP_DEBUG", raising=False)
    monkeypatch.setattr("flows.commands.clean._look_ahead", lambda _: {}["rank\n"])
    assert run(["clean", "sample:digits", "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    (file,) = tmp_path.iterdir()
    (line,) = captured.err.splitlines()
    assert line.startswith("labelsweep: internal error (KeyError: 'rank")
    assert line.endswith(f"please report it: the traceback is in {file}")
    assert "Traceback" in file.read_text()
    assert captured.out == ""
    monkeypatch.setenv("LABELSWEEP_DEBUG", "1")
    with pytest.raises(KeyError):
        run(["clean", "sample:digits", "--out", str(tmp_path / "out")])


def test_full_disk_is_said_as_such(tmp_path, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "scores.parquet"))

    monkeypatch.setattr("flows.commands.clean._look_ahead", full)
    assert run(["clean", "sample:digits", "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert "the disk is full" in line
    assert "scores.parquet" in line


SECRET = "wJalr/XUtn"  # noqa: S105 (planted)


@pytest.mark.parametrize(
    "command",
    [
        f"clean s3://AKIA:{SECRET}@bucket/cats.csv",
        f"clean https://ada:{SECRET}@host/cats.csv",
        f"clean simplecache::https://ada:{SECRET}@host/cats.csv",
        f"clean https://host/cats.csv?X-Amz-Signature={SECRET}&page=2",
        f"clean s3://AKIA:{SECRET}@bucket/datasets/cats/latest",
        f"clean sample:digits --publish s3://AKIA:{SECRET}@bucket/out",
        f"runs --out s3://AKIA:{SECRET}@bucket/out",
        f"review --out s3://AKIA:{SECRET}@bucket/out",
        f"apply s3://AKIA:{SECRET}@bucket/out/runs/cats-1",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABELSWEEP_WORK", str(tmp_path / "work"))
    assert run(command.split()) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert "***" in line
    assert "holds a password or signature" in line
    assert SECRET not in captured.out + line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
