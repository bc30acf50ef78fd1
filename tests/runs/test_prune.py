"""`labelsweep prune` removes old runs and nothing else."""

import json
from pathlib import Path

from flows.cli import run
from tasks.runs.data_sets import name_new_run
from tasks.runs.lock import lock_folder


def make_run(out: Path, name: str, *, finished: bool = True) -> Path:
    folder = out / "runs" / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("source: pets.csv\n")
    if finished:
        (folder / "manifest.json").write_text("{}")
    return folder


def test_old_runs_go_and_new_ones_decisions_and_versions_stay(tmp_path: Path, capsys) -> None:
    pets = [make_run(tmp_path, f"pets-2020010{day}-020000-aaaa") for day in range(1, 6)]
    broken = make_run(tmp_path, "pets-20200101-010000-bbbb", finished=False)
    busy = make_run(tmp_path, "pets-20200101-030000-cccc")
    alone = make_run(tmp_path, "cats-20200101-020000-aaaa")
    young = make_run(tmp_path, "dogs-29990101-020000-aaaa")
    version = tmp_path / "datasets" / "pets" / "v0001"
    version.mkdir(parents=True)
    (tmp_path / "decisions.sqlite").touch()
    arguments = ["prune", "--keep", "2", "--older", "90d", "--out", str(tmp_path)]
    assert run(arguments) == 0
    assert "nothing was removed" in capsys.readouterr().err
    assert all(folder.exists() for folder in [*pets, broken])
    with lock_folder(busy, shared=True):
        assert run([*arguments, "--yes"]) == 0
    assert [folder.exists() for folder in pets] == [False, False, False, True, True]
    assert not broken.exists()
    assert all(path.exists() for path in (busy, alone, young, version, tmp_path / "decisions.sqlite"))
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        path.name for path in (*pets[3:], busy, alone, young)
    }
    assert run([*arguments, "--older", "999999w"]) == 0
    assert "no run" in capsys.readouterr().err
    assert run([*arguments, "--older", "soon"]) == 2
    assert "--older: 'soon' is not a length of time" in capsys.readouterr().err


def test_two_data_sets_of_one_short_name_keep_their_own_runs(tmp_path: Path) -> None:
    for day, key in ((1, "pets-of-ada"), (2, "pets-of-bob"), (3, "pets-of-bob")):
        folder = make_run(tmp_path, f"pets-2020010{day}-020000-aaaa")
        asked = {"data_set": key, "parameters": "p", "source": "s", "version": "0"}
        (folder / "request.json").write_text(json.dumps(asked))
    assert run(["prune", "--keep", "1", "--older", "90d", "--out", str(tmp_path), "--yes"]) == 0
    left = sorted(path.name[:13] for path in (tmp_path / "runs").iterdir())
    assert left == ["pets-20200101", "pets-20200103"]


def test_the_newest_run_is_the_last_one_also_where_the_clock_was_set_back(tmp_path: Path) -> None:
    for run_id in (
        "pets-29990101-235959-aaaa",
        "pets-29990101-235959-notes",
        "pets-and-more-29991231-000000-aaaa",
    ):
        make_run(tmp_path, run_id)
    names = []
    for _ in range(3):  # of one second by the clock
        names.append(name_new_run(tmp_path, "pets"))
        make_run(tmp_path, names[-1])
    assert [name[:-4] for name in names] == [f"pets-29990102-00000{second}-" for second in range(3)]
    assert name_new_run(tmp_path, "cats") < "cats-2999"
