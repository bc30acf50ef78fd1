"""Writes the files of the source beside a version, or says why it does not: the corrections do not depend on it."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tasks.apply.corrected import PLACES, corrected, write_places
from tasks.apply.layout import layout_of, places_of, write_layout, written_in
from tasks.apply.plan import Plan
from tasks.apply.version import alone
from tasks.errors import InputError
from tasks.records import Dataset


def write_beside(run: Path, dataset: Dataset, plan: Plan, state: str, version: Path) -> str:
    """Write the corrected files of the source into a version's folder.

    Args:
        run: The run folder.
        dataset: Its data set.
        plan: What changes.
        state: Digest of the version.
        version: Folder of the version.

    Returns:
        Why they were not written; empty where they were, or where there are none.
    """
    folder: Path | None = None
    try:
        layout = layout_of(run, dataset)
        if layout is None:
            return ""
        folder = version / layout.folder
        changes = corrected(layout.uri, run / "dataset.parquet", plan, places_of(layout), layout.total)
        write_layout(layout, changes, state, folder)
        write_places(changes, version)
    except InputError as error:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        return f"Your own files were not written: {error}\n"
    return ""


def catch_up(run: Path, dataset: Dataset, plan: Plan, state: str, version: Path) -> str:
    """Write the same for a version that lacks them, since the source was not there or not what it had been.

    Returns:
        Why they were not written; empty where they were, or where there are none.
    """
    if written_in(version):
        return ""
    prefix = f".{version.name}."  # what is left of it is removed as that of an unfinished version is
    with alone(version.parent), tempfile.TemporaryDirectory(prefix=prefix, dir=version.parent) as name:
        made = Path(name)
        note = write_beside(run, dataset, plan, state, made)
        # What says which row is which goes first: without the files it means nothing.
        for path in sorted(made.iterdir(), key=lambda path: path.is_dir()):
            path.replace(version / path.name)
    return note


def copy_beside(version: Path, target: Path) -> None:
    """Copy what lies beside a version's data to another version's folder."""
    layout = written_in(version)
    if layout:
        shutil.copytree(layout, target / layout.name)
        with suppress(FileNotFoundError):
            shutil.copyfile(version / PLACES, target / PLACES)
