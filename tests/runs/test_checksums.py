"""What was removed or damaged after it was written is noticed, and made again or refused."""

import json
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.errors import InputError
from tasks.records import Report
from tasks.runs.checksums import check_complete, check_run, is_run_intact
from tasks.runs.step import run_or_reuse
from tasks.storage import finish_run, write_table, write_text


class Counting:
    """A step that writes two files, and counts how often it did."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.times = folder, 0

    def __call__(self) -> Report:
        self.times += 1
        page = write_text("page", self.folder / "report.html")
        return Report(html=page, summary=write_text("{}", self.folder / "model" / "summary.json"))

    def run(self) -> int:
        run_or_reuse("report", self.folder, Report, {"key": 1}, self)
        return self.times


@pytest.fixture
def step(tmp_path: Path) -> Counting:
    step = Counting(tmp_path)
    assert (step.run(), step.run()) == (1, 1)
    return step


def flip(path: Path, place: int = -2) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["report.html", "model/summary.json", "steps/report.json"])
@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:1])])
def test_step_runs_again_where_a_file_of_it_was_removed_or_damaged(step, name, harm):
    harm(step.folder / name)
    assert (step.run(), step.run()) == (2, 2)
    assert (step.folder / "report.html").read_text() == "page"


def test_flipped_digit_in_a_record_is_noticed(step):
    path = step.folder / "steps" / "report.json"
    path.write_text(
        path.read_text().replace(f'"seconds": {json.loads(path.read_text())["seconds"]}', '"seconds": 77')
    )
    assert step.run() == 2


def test_file_that_a_later_step_wrote_in_place_of_an_earlier_one_is_no_damage(step):
    def later() -> Report:
        page = write_text("another page", step.folder / "report.html")
        return Report(html=page, summary=step.folder / "model" / "summary.json")

    run_or_reuse("later", step.folder, Report, {}, later)
    assert step.run() == 1


@pytest.mark.parametrize("name", ["model/summary.json", "steps/report.json"])
def test_step_runs_again_where_an_earlier_one_had_to_and_wrote_over_its_file(step, name):
    times = []

    def later() -> Report:
        times.append(1)
        page = write_text("another page", step.folder / "report.html")
        return Report(html=page, summary=step.folder / "model" / "summary.json")

    run_or_reuse("later", step.folder, Report, {}, later)
    (step.folder / name).unlink()
    assert step.run() == 2
    for _ in range(2):
        run_or_reuse("later", step.folder, Report, {}, later)
        assert (step.folder / "report.html").read_text() == "another page"
        assert (len(times), step.run()) == (2, 2)


def test_finished_run_says_which_file_is_not_what_it_wrote(tmp_path):
    run = tmp_path / "runs" / "cats"
    for name in ("scores.parquet.txt", "queue.csv"):
        write_text("as it was", run / name)
    finish_run(run)
    (run / "queue.csv").write_text("with the decisions of a person")
    assert is_run_intact(run)
    flip(run / "scores.parquet.txt")
    with pytest.raises(InputError, match=r"scores\.parquet\.txt: is not what the run wrote.*backup"):
        check_run(run)
    check_run(run, "queue.csv")
    (run / "queue.csv").unlink()
    with pytest.raises(InputError, match=r"queue\.csv: is missing"):
        check_run(run, "queue.csv")
    flip(run / "manifest.json", 0)
    with pytest.raises(InputError, match=r"manifest\.json: is damaged"):
        check_run(run)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_are_as_open_to_others_as_the_user_wants(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        written = [
            write_text("a", tmp_path / "a.txt"),
            write_table(pa.table({"a": [1]}), tmp_path / "a.parquet"),
        ]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in written] == [mode, mode]


def test_what_a_later_round_of_networks_puts_away_is_neither_missed_nor_made_again(tmp_path):
    rounds = [tmp_path / "model" / f"round-{number}" for number in (1, 2)]
    for folder in rounds:
        folder.mkdir(parents=True)
    names, times = ("features-0.f32", "network-0.safetensors"), []

    def work():
        times.append(1)
        for name in names:
            (rounds[0] / name).write_bytes(b"1")
        return Report(html=tmp_path / "r.html", summary=tmp_path / "s.json")

    def made() -> int:
        run_or_reuse("fit-1", tmp_path, Report, {}, work)
        return len(times)

    assert made() == 1
    (rounds[0] / names[0]).unlink()
    with pytest.raises(FileNotFoundError):
        check_complete(tmp_path)
    assert made() == 2
    (rounds[1] / "theta-0.safetensors").write_bytes(b"1")
    (rounds[0] / names[0]).unlink()
    check_complete(tmp_path)
    assert made() == 2
    (rounds[0] / names[1]).unlink()
    with pytest.raises(FileNotFoundError):
        check_complete(tmp_path)
    assert made() == 3


def test_what_a_killed_try_left_half_written_is_gone_from_a_finished_run(tmp_path: Path):
    folder = tmp_path / "runs" / "pets"
    (folder / "validation" / ".docs.partial").mkdir(parents=True)
    (folder / "validation" / ".docs.partial" / "index.html").write_text("half")
    (folder / ".queue.parquet.12ab.partial").write_text("half")
    write_text("{}", folder / "summary.json")
    finish_run(folder)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "manifest.json",
        "summary.json",
    ]
