"""The report as a step of the pipeline."""

from collections.abc import Callable
from pathlib import Path

from tasks.report.step import report
from tasks.storage import read_json, write_json


def test_step_is_kept_until_an_earlier_step_changes(
    plane_run: Path, tmp_path: Path, copied: Callable[[Path], Path]
) -> None:
    run = copied(plane_run)
    record = report.fn(run)
    assert record.html == run / "report.html"
    assert read_json(run / "steps/report.json")["record"]["summary"] == str(run / "summary.json")
    made, page = record.html.stat().st_ino, record.html.read_text()
    assert report.fn(run) == record
    assert record.html.stat().st_ino == made
    record.html.write_text("of somebody else")
    assert report.fn(run) == record
    assert record.html.read_text() == page
    made = record.html.stat().st_ino
    entry = read_json(run / "steps/queue.json")
    write_json(entry | {"finished": entry["finished"] + 1}, run / "steps/queue.json")
    report.fn(run)
    assert record.html.stat().st_ino != made
