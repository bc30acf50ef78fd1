"""The report step."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.records import Report
from tasks.report.page import make_report
from tasks.steps import recorded
from tasks.storage import sha256_file


@task(name="report", cache_policy=NO_CACHE)
def report(folder: Path) -> Report:
    """Write the summary and the page of the run in `folder`."""
    # Every earlier step's record names its inputs and its result: together they stand for all the files that are read.
    records = sorted(path for path in (folder / "steps").glob("*.json") if path.stem != "report")
    inputs = {path.stem: sha256_file(path) for path in records}
    return recorded("report", folder, Report, inputs, lambda: make_report(folder))
