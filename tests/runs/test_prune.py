"""`labelsweep prune` removes old runs and nothing else."""

from pathlib import Path

from flows.cli import run
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
    assert run([*arguments, "--older", "soon"]) == 2
    assert "--older: 'soon' is not a length of time" in capsys.readouterr().err
