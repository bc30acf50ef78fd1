"""Past runs, read off their folders."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from tasks.json_objects import read_object
from tasks.runs.data_sets import read_date
from tasks.runs.lifecycle import State, read_state
from tasks.terminal import align_columns, write_one_line

# The files of a run that a line of the list is read from.
DESCRIBING = ("config.yaml", "steps/ingest.json", "steps/flag.json")


class PastRun(BaseModel):
    """One line of the list of runs."""

    run_id: str
    date: datetime
    source: str
    rows: int | None
    flagged: int | None
    state: State


def list_past_runs(out: Path) -> list[PastRun]:
    """Return the runs under `out`, newest first."""
    found = []
    for config in (out / "runs").glob("*/config.yaml"):
        with suppress(FileNotFoundError):  # a run that changed nothing is removed while it is looked at
            if not config.parent.is_symlink():
                found.append(read_past_run(config.parent))
    return sorted(found, key=lambda run: run.date, reverse=True)


def read_past_run(folder: Path) -> PastRun:
    """Return what the folder of a run says of it."""
    config = folder / "config.yaml"
    changed = datetime.fromtimestamp(config.stat().st_mtime, UTC).replace(microsecond=0)
    return PastRun(
        run_id=folder.name,
        date=read_date(folder.name) or changed,
        source=_describe_source(config),
        rows=_read_record(folder, "ingest").get("rows"),
        flagged=_read_record(folder, "flag").get("flagged"),
        state=read_state(folder),
    )


def describe_run(folder: Path) -> str:
    """Say which run a folder holds: its id, its data set and when it began."""
    if not (folder / "config.yaml").is_file():
        return folder.name
    run = read_past_run(folder)
    return f"{run.run_id} (data set {run.source}, {run.date:%Y-%m-%d %H:%M} UTC)"


def _describe_source(config: Path) -> str:
    """Return what a run swept."""
    try:
        return str(yaml.safe_load(config.read_text(encoding="utf-8"))["source"])
    # The file was damaged: the other runs are listed all the same.
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return "unknown"


def _read_record(folder: Path, step: str) -> dict[str, Any]:
    """Return the record that a step left, or nothing if the run did not come that far."""
    record = read_object(folder / "steps" / f"{step}.json").get("record")
    return record if isinstance(record, dict) else {}


def format_as_json(runs: list[PastRun]) -> str:
    """Return the runs as a JSON list."""
    return json.dumps([run.model_dump(mode="json") for run in runs], indent=2, ensure_ascii=False) + "\n"


def format_as_table(runs: list[PastRun]) -> str:
    """Return the runs as aligned text."""
    if not runs:
        return ""
    lines = [("RUN", "DATE (UTC)", "ROWS", "FLAGGED", "STATE", "SOURCE")]
    for run in runs:
        rows, flagged = ("-" if count is None else f"{count:,}" for count in (run.rows, run.flagged))
        date = f"{run.date:%Y-%m-%d %H:%M}"
        lines.append((run.run_id, date, rows, flagged, run.state, write_one_line(run.source)))
    return "".join(f"{line}\n" for line in align_columns(lines))
