"""A run that is killed at any moment and started again ends with the same files."""

import functools
import os
import signal
import sys

import pyarrow.parquet as pq
import pytest
from validate_data import columns, files, write

from tasks.errors import InputError
from tasks.records import Dataset, Validation
from tasks.validate import validate

# What a run does to the disk: each is a moment at which it may die.
MOMENTS = ("os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp")


def dirty(folder, name="dataset.parquet"):
    data = columns()
    data["label"][3] = data["label"][40] = None
    data["features"][7][1] = float("inf")
    data["content_hash"][10] = data["content_hash"][11]
    return write(folder / name, data)


def in_child(work, moment):
    """Run `work` in a forked process that is killed at its `moment`-th touch of the disk; return whether it was."""
    child = os.fork()
    if not child:
        seen = 0

        def die(event, _arguments):
            nonlocal seen
            if event in MOMENTS:
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        status = 1
        try:
            signal.alarm(120)
            sys.addaudithook(die)
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("name", ["dataset.parquet", "ingested.parquet"])
def test_a_run_killed_at_any_moment_ends_with_the_same_files_when_run_again(tmp_path, name):
    expected = tmp_path / "expected"
    wanted = validate(dirty(expected, name), expected, folds=5)
    for moment in range(100):
        folder = tmp_path / str(moment)
        dataset = dirty(folder, name)
        killed = in_child(functools.partial(validate, dataset, folder, folds=5), moment)
        again = validate(dataset, folder, folds=5)
        assert again.model_copy(
            update={"dataset": again.dataset.model_copy(update={"path": wanted.dataset.path})}
        ) == (wanted.model_copy(update={"quarantine": again.quarantine, "result": again.result}))
        # The key of a run speaks of its data set, which lies elsewhere in each folder but is the same.
        assert files(folder) == files(expected)
        if not killed:
            break
    assert moment >= 6  # quarantine, conflicts, suite, result, data set: two moments each, or nearly


def test_a_second_run_on_the_cleaned_data_loses_no_row_of_the_quarantine(tmp_path):
    dataset = dirty(tmp_path)
    first = validate(dataset, tmp_path, folds=5)
    before = files(tmp_path)
    assert validate(dataset, tmp_path, folds=5) == first
    assert files(tmp_path) == before
    assert pq.read_metadata(tmp_path / "quarantine.parquet").num_rows == 3


def test_cleaned_data_are_not_validated_again_under_other_options(tmp_path):
    dataset = dirty(tmp_path)
    validate(dataset, tmp_path, folds=5)
    before = files(tmp_path)
    with pytest.raises(
        InputError, match=r"rows were set aside here under other validation options; start a new run"
    ):
        validate(dataset, tmp_path, folds=4)
    assert files(tmp_path) == before


def test_new_data_in_the_same_folder_are_validated_anew(tmp_path):
    validate(dirty(tmp_path), tmp_path, folds=5)
    clean = write(tmp_path / "dataset.parquet", columns())
    validation = validate(clean, tmp_path, folds=5)
    assert (validation.quarantined, validation.quarantine, validation.dataset.rows) == (0, None, 60)
    assert not (tmp_path / "quarantine.parquet").exists()


def test_data_that_another_run_had_cleaned_are_data_like_any_other(tmp_path):
    first = validate(dirty(tmp_path / "a"), tmp_path / "a", folds=5)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "dataset.parquet").write_bytes(first.dataset.path.read_bytes())
    moved = first.dataset.model_copy(update={"path": tmp_path / "b" / "dataset.parquet"})
    assert validate(moved, tmp_path / "b", folds=3).quarantined == 0


def test_the_record_survives_as_json(tmp_path):
    validation = validate(dirty(tmp_path), tmp_path, folds=5)
    assert Validation.model_validate_json(validation.model_dump_json()) == validation
    assert Dataset.model_validate_json(validation.dataset.model_dump_json()) == validation.dataset
