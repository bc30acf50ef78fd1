"""The step of the flow: recorded, resumed, and not tried again for what only the user can put right."""

import json
import os

import pytest
from prefect.logging import disable_run_logger
from prefect.states import Failed
from validate_data import columns, write

from tasks.errors import InputError, ValidationFailed
from tasks.ingest import digest_files, ingest
from tasks.records import Dataset, Source
from tasks.runs.step import is_transient, run_or_reuse
from tasks.validate.step import validate


@pytest.fixture(autouse=True)
def _without_a_server():
    with disable_run_logger():
        yield


def test_a_step_that_was_done_is_not_done_again(tmp_path):
    data = columns()
    data["label"][3] = None
    dataset = write(tmp_path / "dataset.parquet", data)
    first = validate.fn(dataset, tmp_path, folds=5)
    record = tmp_path / "steps" / "validate.json"
    written = record.stat().st_mtime_ns
    assert json.loads(record.read_text())["step"] == "validate"
    assert validate.fn(dataset, tmp_path, folds=5) == first
    assert record.stat().st_mtime_ns == written


def test_a_step_killed_before_its_record_was_written_gives_the_same_record(tmp_path):
    data = columns()
    data["label"][3] = None
    dataset = write(tmp_path / "dataset.parquet", data)
    first = validate.fn(dataset, tmp_path, folds=5)
    (tmp_path / "steps" / "validate.json").unlink()
    assert validate.fn(dataset, tmp_path, folds=5) == first


def test_a_file_of_expectations_that_changed_is_not_overlooked(tmp_path):
    dataset = write(tmp_path / "dataset.parquet", columns())
    own = tmp_path / "own.yaml"
    entry = "[{{type: expect_column_values_to_be_between, kwargs: {{column: age, max_value: {}}}}}]"
    own.write_text(entry.format(100))
    assert validate.fn(dataset, tmp_path, folds=5, expectations=own).quarantined == 0
    own.write_text(entry.format(66))
    assert validate.fn(dataset, tmp_path, folds=5, expectations=own).quarantined == 3


def test_a_source_that_changed_beside_its_content_is_validated_anew(tmp_path):
    source = Source(uri=str(tmp_path / "people.csv"), features=("height",))
    own = tmp_path / "own.yaml"
    own.write_text("[{type: expect_column_values_to_be_between, kwargs: {column: age, min_value: 0}}]")

    def sweep(age: int):
        rows = "".join(f"{150 + row},{age if row == 7 else 30},{'ab'[row % 2]}\n" for row in range(40))
        (tmp_path / "people.csv").write_text("height,age,label\n" + rows)
        os.utime(tmp_path / "people.csv", (age + 10, age + 10))
        inputs = {"source": source, "files": digest_files(source.uri)}
        dataset = run_or_reuse("ingest", tmp_path, Dataset, inputs, lambda: ingest(source, tmp_path))
        return dataset.digest, validate.fn(dataset, tmp_path, folds=5, expectations=own)

    digest, before = sweep(30)
    again, after = sweep(-1)
    assert digest == again
    assert (before.quarantined, after.quarantined) == (0, 1)


@pytest.mark.parametrize(
    ("error", "tried_again"),
    [
        (InputError("no labels"), False),
        (ValidationFailed("31 % fail"), False),
        (ValueError("a bug"), False),
        (OSError("the disk is away"), True),
    ],
)
def test_only_a_fault_that_may_pass_is_tried_again(error, tried_again):
    assert is_transient(error) is tried_again
    assert validate.task.retry_condition_fn(validate.task, None, Failed(data=error)) is tried_again
    assert validate.name == "validate"
