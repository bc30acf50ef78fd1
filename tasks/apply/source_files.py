"""The files of the source beside a version, or why they are not there: the corrections do not depend on them."""

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks.apply import moved_images
from tasks.apply.corrected import PLACES, find_source_changes, read_places, write_places
from tasks.apply.layout import SourceLayout, check_digests, find_written, read_layout, write_layout
from tasks.apply.plan import Plan
from tasks.apply.version import lock_versions
from tasks.errors import InputError
from tasks.ingest.images.folder import ClassFolderReader
from tasks.ingest.source import explain_access_errors
from tasks.records import Dataset


@dataclass(frozen=True)
class SourceFiles:
    """The corrected files of the source of a version.

    Attributes:
        run: The run folder.
        dataset: What was swept.
        plan: What changes.
        state: Digest of the version.
        copy_images: Whether a folder of images is copied too; otherwise there is only the list of moves.
    """

    run: Path
    dataset: Dataset
    plan: Plan
    state: str
    copy_images: bool = False

    def write(self, version: Path) -> str:
        """Write them into a version's folder.

        Returns:
            Why they were not written; empty where they were, or where there are none.
        """
        folder: Path | None = None
        try:
            layout = read_layout(self.run, self.dataset)
            if layout is None:
                return ""
            folder = version / layout.folder
            if layout.images:
                with explain_access_errors(layout.uri):
                    self._write_images(layout, layout.images, folder)
                return ""
            places = read_places(layout.version) if layout.version else None
            source = self.run / "dataset.parquet"
            changes = find_source_changes(layout.uri, source, self.plan, places, layout.total)
            write_layout(layout, changes, self.state, folder)
            write_places(changes, version)
        except InputError as error:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            return f"Your own files were not written: {error}\n"
        return ""

    def _write_images(self, layout: SourceLayout, images: ClassFolderReader, folder: Path) -> None:
        """Write the list of moved images, and a copy of the folder where it is asked for."""
        written = find_written(layout.version) if layout.version else None
        moved = (
            moved_images.plan_all_moves(written / moved_images.MOVES, self.run, self.plan)
            if written
            else moved_images.plan_first_moves(images, layout.uri, self.run, self.plan, layout.total)
        )
        places = moved_images.list_targets(moved, images.files)
        base = images.part
        parts = layout.parts
        touched = [part for part in parts if self.copy_images or part.path.removeprefix(base.path) in moved]
        check_digests(layout, touched)
        folder.mkdir(parents=True)
        moved_images.write_moves(moved, places, folder / moved_images.MOVES)
        if self.copy_images:
            name = PurePosixPath(layout.uri.rstrip("/")).name.removesuffix(".zip")
            moved_images.copy_folder(base, places, folder / name)

    def write_missing(self, version: Path) -> str:
        """Write them for a version that lacks them: the source was not there, or nobody asked for a copy.

        Returns:
            Why they were not written; empty where they were, or where there are none.
        """
        there = find_written(version)
        has_list = there is not None and [path.name for path in there.iterdir()] == [moved_images.MOVES]
        if there and not (self.copy_images and has_list):
            return ""
        prefix = f".{version.name}."  # what is left of it is removed as that of an unfinished version is
        with (
            lock_versions(version.parent),
            tempfile.TemporaryDirectory(prefix=prefix, dir=version.parent) as name,
        ):
            made = Path(name)
            note = self.write(made)
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
