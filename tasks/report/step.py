"""The report step."""

from pathlib import Path

from tasks.records import Queue, Report
from tasks.report.page import make_report
from tasks.runs.step import Arguments, step
from tasks.storage import hash_file


def _digest_records(given: Arguments) -> dict[str, str]:
    """Return the digest of every earlier step's record: together they stand for all the files that are read."""
    records = (given["folder"] / "steps").glob("*.json")
    return {path.stem: hash_file(path) for path in records if path.stem != "report"}


@step(reads=_digest_records)
def report(folder: Path, queue: Queue | None = None) -> Report:  # noqa: ARG001 (shown as what the report follows)
    """Write the summary and the page of the run in `folder`.

    Args:
        queue: What the queue step returned, where the run came that far: Prefect draws the arrow between the two from it.
    """
    return make_report(folder)
