"""The same command goes on with what it began, and two runs of one data set are kept apart."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from flow_inputs import parquet

from flows.config import CleanParameters
from flows.request import make_request
from tasks.errors import InputError, LabelsweepError
from tasks.ingest import ingest
from tasks.records import Report
from tasks.runs.lifecycle import claim_data_set, read_state, run_folder
from tasks.runs.lock import hold_lock
from tasks.runs.step import run_or_reuse
from tasks.storage import write_text


def ended(parameters: CleanParameters, error: BaseException | None) -> Path:
    """Begin a run and end it with an error, or as it should; return its folder."""
    with (
        pytest.raises(type(error)) if error else nullcontext(),
        run_folder(make_request(parameters)) as folder,
    ):
        (folder / "begun").touch()
        if error:
            raise error
    return folder


@pytest.fixture
def parameters(tmp_path) -> CleanParameters:
    return CleanParameters(source=str(parquet(tmp_path)), out=tmp_path / "out")


def test_same_command_goes_on_with_the_run_that_was_interrupted(parameters):
    first = ended(parameters, KeyboardInterrupt())
    assert ended(parameters, KeyboardInterrupt()) == first
    assert ended(parameters, None) == first
    assert read_state(first) == "finished"


def test_where_and_when_a_run_works_does_not_make_it_another_one(parameters):
    first = ended(parameters, KeyboardInterrupt())
    elsewhere = parameters.model_copy(update={"gpu_deployment": "fit/gpu", "wait": 5.0, "gpu_timeout": 1.0})
    assert ended(elsewhere, None) == first


def test_other_parameters_or_another_source_start_a_new_run(parameters):
    first = ended(parameters, KeyboardInterrupt())
    second = ended(parameters.model_copy(update={"folds": 3}), KeyboardInterrupt())
    path = Path(parameters.source)
    os.utime(path, ns=(0, 0))
    third = ended(parameters, KeyboardInterrupt())
    assert len({first, second, third}) == 3


def test_run_that_failed_for_no_fault_of_the_user_is_gone_on_with_but_not_for_ever(parameters):
    folders = [ended(parameters, ZeroDivisionError()) for _ in range(4)]
    assert len(set(folders[:3])) == 1
    assert folders[3] != folders[0]


def test_run_that_the_data_failed_is_not_gone_on_with(parameters):
    from tasks.errors import ValidationFailed

    first = ended(parameters, ValidationFailed("too many rows set aside"))
    assert read_state(first) == "failed"
    assert ended(parameters, None) != first


def test_file_that_is_removed_while_a_run_is_at_work_is_named_and_made_again(parameters):
    def page_in(folder: Path) -> Path:
        def work() -> Report:
            return Report(
                html=write_text("page", folder / "a.html"), summary=write_text("{}", folder / "b.json")
            )

        return run_or_reuse("report", folder, Report, {}, work).html

    def struck() -> None:
        with run_folder(make_request(parameters)) as folder:
            page_in(folder).unlink()

    with (
        pytest.raises(LabelsweepError, match=r"config\.yaml: was removed"),
        run_folder(make_request(parameters)) as folder,
    ):
        (folder / "config.yaml").unlink()
    with pytest.raises(
        LabelsweepError, match=r"a\.html: was removed.*the same command makes it again"
    ) as raised:
        struck()
    with run_folder(make_request(parameters)) as folder:
        assert str(page_in(folder)) == raised.value.where
    assert (folder / "a.html").is_file()
    assert read_state(folder) == "finished"


def test_second_run_of_a_data_set_is_refused_or_queues(parameters):
    out = parameters.out
    with claim_data_set(out, "pets"):
        with pytest.raises(InputError, match=f"process {os.getpid()}.*--wait"), claim_data_set(out, "pets"):
            pass
        told = []
        with (
            pytest.raises(InputError, match="another process"),
            claim_data_set(out, "pets", 0.3, told.append),
        ):
            pass
        assert len(told) == 1
        with claim_data_set(out, "other"):
            pass
    assert not out.exists()


def test_sources_of_one_name_at_two_places_are_two_data_sets():
    assert CleanParameters(source="/a/train.csv").data_set != CleanParameters(source="/b/train.csv").data_set
    named = [CleanParameters(source=f"/{place}/train.csv", name="Pets") for place in "ab"]
    assert {one.data_set for one in named} == {"pets"}


@pytest.mark.parametrize(("name", "short"), [(None, "my-cats"), ("Pets 2", "pets-2")])
def test_data_set_has_one_name_in_run_ids_and_in_the_data(name, short, tmp_path):
    source = tmp_path / "my.cats.csv"
    source.write_text("x,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(20)))
    parameters = CleanParameters(source=str(source), name=name)
    assert make_request(parameters).name == short
    assert ingest(parameters.make_source(), tmp_path / "run").name == short


def test_lock_ends_with_its_owner_however_it_ends(tmp_path):
    path = tmp_path / "data.lock"
    code = (
        "import sys, time; from pathlib import Path; from tasks.runs.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 'taken'): print('held', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(LabelsweepError, match=f"taken .process {owner.pid}"), hold_lock(path, "taken"):
        pass
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with hold_lock(path, "taken"):
        assert path.exists()
    assert not path.exists()


def test_lock_passes_from_one_to_the_next_without_two_holding_it(tmp_path):
    path, log = tmp_path / "data.lock", tmp_path / "log"
    code = (
        "import sys, os, time; from pathlib import Path; from tasks.runs.lock import hold_lock\n"
        "for _ in range(20):\n"
        "    with hold_lock(Path(sys.argv[1]), 'taken', wait_seconds=60):\n"
        "        with open(sys.argv[2], 'a') as f: f.write(f'in {os.getpid()}\\n')\n"
        "        time.sleep(0.002)\n"
        "        with open(sys.argv[2], 'a') as f: f.write(f'out {os.getpid()}\\n')\n"
    )
    command = [sys.executable, "-c", code, str(path), str(log)]
    started = time.monotonic()
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait(timeout=60) == 0
    lines = log.read_text().split("\n")[:-1]
    assert len(lines) == 120
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert (entered.split()[0], left.split()[0]) == ("in", "out")
        assert entered.split()[1] == left.split()[1]
    assert time.monotonic() - started < 60
