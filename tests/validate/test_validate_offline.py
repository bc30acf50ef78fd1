"""Great Expectations stays where it is: no network, no noise, nothing imported before it is needed, its own files readable."""

import json
import logging
import re
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from validate_data import columns, write

from tasks.validate import validate

ROOT = Path(__file__).parents[2]

# In a process of its own, so that the import is watched too; a home that does not exist shows what is written there.
OFFLINE = """
import socket, sys

def refuse(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(refuse)
from tasks.records import Dataset
from tasks.validate import validate
from pathlib import Path
dataset = Dataset.model_validate_json(sys.argv[1])
validate(dataset, dataset.path.parent, folds=5, data_docs=True, expectations=Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Run validation with every connection refused; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    data = columns()
    data["label"][5] = None
    dataset = write(folder / "dataset.parquet", data)
    own = folder / "own.yaml"
    own.write_text("[{type: expect_column_mean_to_be_between, kwargs: {column: age, min_value: 0}}]")
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, dataset.model_dump_json(), str(own)],
        cwd=ROOT,
        env={"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_reaches_for_no_network_and_prints_nothing(offline):
    folder, done = offline
    assert (done.stdout, done.stderr) == ("", "")
    assert not (folder / "home").exists()


def test_data_docs_are_whole_pages_about_the_findings(offline):
    folder, _ = offline
    docs = folder / "validation" / "docs"
    index = (docs / "index.html").read_text()
    linked = re.findall(r'href="((?:validations|expectations)/[^"]+\.html)"', index)
    assert linked
    assert all((docs / page).exists() for page in linked)
    page = next(docs.glob("validations/**/*.html")).read_text()
    assert "1 unexpected values found" in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace(
        " .", "."
    )
    assert not list((folder / "validation").glob(".*"))


def test_the_suite_is_one_that_great_expectations_reads_and_writes(offline):
    import great_expectations as gx

    folder, _ = offline
    written = json.loads((folder / "validation" / "suite.json").read_text())
    suite = gx.ExpectationSuite(**written)
    assert [entry["type"] for entry in suite.to_json_dict()["expectations"]] == [
        entry["type"] for entry in written["expectations"]
    ]
    bounds = {entry["kwargs"].get("column"): entry["kwargs"] for entry in written["expectations"]}
    assert bounds["labelsweep_samples_of_label"]["min_value"] == 5
    assert bounds[None]["min_value"] == 10


def test_a_thousand_features_take_as_many_expectations_as_three(tmp_path):
    suites = []
    for features in (3, 1000):
        folder = tmp_path / str(features)
        validate(write(folder / "dataset.parquet", columns(30, features=features)), folder, folds=5)
        suites.append(json.loads((folder / "validation" / "suite.json").read_text())["expectations"])
    assert len(suites[0]) == len(suites[1]) < 20


def test_nothing_heavy_is_imported_before_a_run():
    heavy = "great_expectations", "torch", "prefect", "matplotlib"
    program = f"import sys, tasks.validate; sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_logging_and_warnings_are_as_they_were_after_a_run(tmp_path, caplog):
    logger = logging.getLogger("great_expectations")
    before = logger.propagate, list(logger.handlers), list(warnings.filters), socket.socket
    with caplog.at_level(logging.DEBUG):
        validate(write(tmp_path / "dataset.parquet", columns()), tmp_path, folds=5, data_docs=True)
    assert (logger.propagate, list(logger.handlers), list(warnings.filters), socket.socket) == before
    messages = [
        (record.name, record.getMessage()) for record in caplog.records if "expectations" in record.name
    ]
    assert not messages
    assert ("labelsweep.validate", f"Data Docs: {tmp_path}/validation/docs/index.html") in [
        (record.name, record.getMessage()) for record in caplog.records
    ]


def test_data_docs_are_written_on_request_only(tmp_path):
    dataset = write(tmp_path / "dataset.parquet", columns())
    assert validate(dataset, tmp_path, folds=5).data_docs is None
    assert not (tmp_path / "validation" / "docs").exists()
    validation = validate(dataset, tmp_path, folds=5, data_docs=True)
    assert validation.data_docs == tmp_path / "validation" / "docs" / "index.html"
    assert validation.data_docs.is_file()
