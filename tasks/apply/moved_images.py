"""Corrected folders of images or texts: a list of the files that move to another class, and a copy where it is asked for.

The list says how the folder that was swept first becomes the corrected one: `from` and `to` are paths within it. A file without a
`to` was dropped. Names stay; where the other folder has a file of the same name, the name gets a number.
"""

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path, PurePosixPath

import pyarrow as pa

from tasks.apply.corrected import find_source_changes, learn_forms
from tasks.apply.plan import Plan
from tasks.errors import InputError
from tasks.ingest.images.folder import ClassFolderReader
from tasks.ingest.labels.spelling import mean_the_same
from tasks.ingest.source import Part
from tasks.queue.rows import find_rows

MOVES = "moves.csv"
_COLUMNS = ("from", "to", "old_label", "new_label")

# By file: the label of its folder, and the one that a reviewer gave; None where the image is dropped.
Moved = Mapping[str, tuple[str, str | None]]


def plan_first_moves(images: ClassFolderReader, uri: str, run: Path, plan: Plan, total: int | None) -> Moved:
    """Return which images a plan moves in the folder that was swept.

    Raises:
        InputError: The folder is not what was swept any more.
    """
    changes = find_source_changes(uri, run / "dataset.parquet", plan, total=total)
    table = pa.Table.from_batches(images.batches(["file", "label"], 2**16))
    labels = table["label"].to_pylist()
    learn_forms(changes, (label or "" for label in labels))
    return {table["file"][row].as_py(): (labels[row], new) for row, new in changes.changes.items()}


def plan_all_moves(before: Path, run: Path, plan: Plan) -> Moved:
    """Return which images have moved in all, where a plan corrects a version that has moved some.

    Args:
        before: The list of moves of that version.
    """
    with before.open(encoding="utf-8", newline="") as file:
        moved = {row["from"]: (row["old_label"], row["new_label"] or None) for row in csv.DictReader(file)}
    rows = find_rows(run / "dataset.parquet", "sample_id", plan.by_sample, ["sample_id", "file"])
    for sample, name in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        change = plan.by_sample[sample]
        given = moved[name][0] if name in moved else change.old_label
        moved[name] = (given, change.new_label)
    return {name: labels for name, labels in moved.items() if labels[0] != labels[1]}


def list_targets(moved: Moved, files: Iterable[str]) -> dict[str, str | None]:
    """Return where each image goes; None where it is dropped.

    Raises:
        InputError: A label cannot be the name of a folder, or an image is not there.

    >>> list_targets({"train/cat/1.png": ("cat", "dog")}, ["train/cat/1.png", "train/dog/1.png"])
    {'train/cat/1.png': 'train/dog/1-2.png'}
    """
    files = list(files)
    taken = {file.casefold() for file in files}
    folders = sorted({step for file in files for step in file.split("/")[:-1]})
    found: dict[str, str | None] = {}
    for file, (old, new) in sorted(moved.items()):
        if file.casefold() not in taken:
            fix = "sweep the folder again, then apply"
            raise InputError(f"the file '{file}' is not there any more", fix=fix)
        if new is None:
            found[file] = None
            continue
        target = _choose_free_path(_move_to_class(file, old, new, folders), taken)
        taken.add(target.casefold())
        found[file] = target
    return found


def _move_to_class(file: str, old: str, new: str, folders: Sequence[str]) -> str:
    """Return the path of an image in the folder of another class: one of those that are there, however it is spelled.

    >>> _move_to_class("Cat/1.png", "cat", "dog", ["Cat", "Dog"])
    'Dog/1.png'
    """
    if not new.strip() or new in (".", "..") or any(mark in new for mark in "/\\\0"):
        raise InputError(f"the label '{new}' cannot be the name of a folder")
    steps = file.split("/")
    folder = _find_spelled(old, steps[:-1])
    if folder is None:
        raise InputError(f"the file '{file}' is not in a folder '{old}'")
    steps[steps.index(folder)] = _find_spelled(new, folders) or new
    return "/".join(steps)


def _find_spelled(label: str, names: Sequence[str]) -> str | None:
    """Return the first of some names that a label has: as it is written, or else spelled another way."""
    return label if label in names else next((name for name in names if mean_the_same(name, label)), None)


def _choose_free_path(path: str, taken: set[str]) -> str:
    """Return a path that no other file has; where one has it, with a number behind the name."""
    name = PurePosixPath(path)
    others = (str(name.with_name(f"{name.stem}-{number}{name.suffix}")) for number in count(2))
    return next(one for one in chain([path], others) if one.casefold() not in taken)


def write_moves(moved: Moved, places: Mapping[str, str | None], target: Path) -> None:
    """Write the list of moves."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, place in places.items():
            old, new = moved[name]
            writer.writerow([name, place or "", old, new or ""])


def copy_folder(base: Part, places: Mapping[str, str | None], target: Path) -> None:
    """Copy a folder with all that is in it, the images that move to where they go.

    Args:
        base: The folder; its path ends with a slash.
        places: Where images go; None where they are dropped.
    """
    for path in sorted(base.filesystem.find(base.path)):
        name = path.removeprefix(base.path)
        place = places.get(name, name)
        if place is not None:
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            with base.filesystem.open(path, "rb") as source, (target / place).open("wb") as file:
                shutil.copyfileobj(source, file)
