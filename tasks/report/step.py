"""The report step."""

from pathlib import Path

from tasks.records import Report
from tasks.report.page import make_report
from tasks.runs.step import Arguments, step
from tasks.storage import sha256_file


def _records(given: Arguments) -> dict[str, str]:
    """Return the digest of every earlier step's record: together they stand for all the files that are read."""
    records = (given["folder"] / "steps").glob("*.json")
    return {path.stem: sha256_file(path) for path in records if path.stem != "report"}


@step(reads=_records)
def report(folder: Path) -> Report:
    """Write the summary and the page of the run in `folder`."""
    return make_report(folder)
