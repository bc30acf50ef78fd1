"""Writes the files of the source beside a version, or says why it does not: the corrections do not depend on it."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tasks.apply import moved_images
from tasks.apply.corrected import PLACES, find_source_changes, read_places, write_places
from tasks.apply.layout import SourceLayout, check_digests, find_written, read_layout, write_layout
from tasks.apply.plan import Plan
from tasks.apply.version import lock_versions
from tasks.errors import InputError
from tasks.ingest.source import explain_access_errors
from tasks.records import Dataset


def write_beside(
    run: Path, dataset: Dataset, plan: Plan, state: str, version: Path, *, copy_images: bool = False
) -> str:
    """Write the corrected files of the source into a version's folder.

    Args:
        copy_images: Whether a folder of images is copied too; otherwise there is only the list of moves.

    Returns:
        Why they were not written; empty where they were, or where there are none.
    """
    folder: Path | None = None
    try:
        layout = read_layout(run, dataset)
        if layout is None:
            return ""
        folder = version / layout.folder
        if layout.images:
            with explain_access_errors(layout.uri):
                _write_images(layout, run, plan, folder, copy_images=copy_images)
            return ""
        places = read_places(layout.version) if layout.version else None
        changes = find_source_changes(layout.uri, run / "dataset.parquet", plan, places, layout.total)
        write_layout(layout, changes, state, folder)
        write_places(changes, version)
    except InputError as error:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        return f"Your own files were not written: {error}\n"
    return ""


def _write_images(layout: SourceLayout, run: Path, plan: Plan, folder: Path, *, copy_images: bool) -> None:
    """Write the list of images that move, and the folder as it is then where that is asked for."""
    images = layout.images
    if images is None:
        return
    written = find_written(layout.version) if layout.version else None
    moved = (
        moved_images.plan_all_moves(written / moved_images.MOVES, run, plan)
        if written
        else moved_images.plan_first_moves(images, layout.uri, run, plan, layout.total)
    )
    places = moved_images.list_targets(moved, images.files)
    base = images.part
    touched = [part for part in layout.parts if copy_images or part.path.removeprefix(base.path) in moved]
    check_digests(layout, touched)
    folder.mkdir(parents=True)
    moved_images.write_moves(moved, places, folder / moved_images.MOVES)
    if copy_images:
        moved_images.copy_folder(
            base, places, folder / PurePosixPath(layout.uri.rstrip("/")).name.removesuffix(".zip")
        )


def write_missing(
    run: Path, dataset: Dataset, plan: Plan, state: str, version: Path, *, copy_images: bool = False
) -> str:
    """Write the same for a version that lacks them: the source was not there, or nobody asked for a copy.

    Returns:
        Why they were not written; empty where they were, or where there are none.
    """
    there = find_written(version)
    lacks_copy = (
        copy_images and there is not None and [path.name for path in there.iterdir()] == [moved_images.MOVES]
    )
    if there and not lacks_copy:
        return ""
    prefix = f".{version.name}."  # what is left of it is removed as that of an unfinished version is
    with (
        lock_versions(version.parent),
        tempfile.TemporaryDirectory(prefix=prefix, dir=version.parent) as name,
    ):
        made = Path(name)
        note = write_beside(run, dataset, plan, state, made, copy_images=copy_images)
        new = find_written(made)
        if there and new:
            made = new  # the list of moves is there, and stays
        # What says which row is which goes first: without the files it means nothing.
        for path in sorted(made.iterdir(), key=lambda path: path.is_dir()):
            path.replace((there or version) / path.name)
    return note


def copy_beside(version: Path, target: Path) -> None:
    """Copy what is beside a version's data to another version's folder."""
    layout = find_written(version)
    if layout:
        shutil.copytree(layout, target / layout.name)
        with suppress(FileNotFoundError):
            shutil.copyfile(version / PLACES, target / PLACES)
