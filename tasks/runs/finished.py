"""What the folder of a run says of it: which run is meant, its data set, and what it was asked for."""

from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InputError
from tasks.json_objects import read_object
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.runs.data_sets import choose_run, find_newest_runs
from tasks.storage import read_json

# What the source is called since a run, its column of the label, and its files, where they were written again and say the same.
WRITTEN_AGAIN = "written_again.json"


def find_run(out: Path, run: str | Path | None = None) -> Path:
    """Return the folder of a finished run: by its id, by its path, or the newest of a data set.

    Args:
        run: Id, path, or name of a data set; None is the only data set there is.

    Raises:
        InputError: There is no such run, it has no queue, or several data sets could be meant.
    """
    named = out / "runs" / (str(run) if run else "latest")
    folder = Path(run) if run and not named.exists() and Path(run).is_dir() else named
    if run is None or not folder.is_dir():
        newest = choose_run(find_newest_runs(out), str(run) if run else None, str(out))
        folder = out / "runs" / newest if newest else folder
    if not folder.is_dir():
        what, fix = "no run yet", "run `labelsweep clean SOURCE` first"
        if run is not None:
            what, fix = f"no run {str(run)!r}", "see `labelsweep runs`"
        raise InputError(what, where=str(out / "runs"), fix=fix)
    folder = folder.resolve()
    if not (folder / "queue.parquet").exists():
        fix = "let the run finish: `labelsweep runs` shows its state"
        raise InputError("the run has no queue", where=str(folder), fix=fix)
    return folder


def read_dataset(run: Path) -> Dataset:
    """Return the record of the data set as validation left it, with the source as it is called now.

    Raises:
        InputError: The folder is not that of a run.
    """
    for name in ("validate", "ingest"):
        path = run / "steps" / f"{name}.json"
        if path.exists():
            record = read_json(path)["record"]
            again = read_object(run / WRITTEN_AGAIN)
            now = {name: again[name] for name in ("uri", "label_column") if name in again}
            return Dataset.model_validate({**record.get("dataset", record), **now})
    what = "not a run folder: it has no record of its data set"
    raise InputError(what, where=str(run), fix="name a run of `labelsweep runs`")


def read_part_digests(run: Path) -> dict[str, str]:
    """Return the digest of each file of the source, by what it is called; nothing where none was kept."""
    again = read_object(run / WRITTEN_AGAIN) or read_object(run / "version.json")
    return {part["part"]: part["digest"] for part in again.get("parts", ())}


def read_run_config(run: Path) -> dict[str, Any]:
    """Return the parameters of a run; none where it kept none."""
    path = run / "config.yaml"
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def read_audit_options(run: Path) -> AuditOptions:
    """Return the options that a run was audited with; the defaults where it kept none."""
    values = read_run_config(run)
    own = AuditOptions.model_fields.keys() & values
    return AuditOptions.model_validate({name: values[name] for name in own})
