"""A folder as a source: which of its files are tables, which are images, and what else lies there."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from tasks.addresses import open_address
from tasks.errors import InputError
from tasks.ingest.compression import open_zip
from tasks.ingest.formats import list_readable_suffixes
from tasks.ingest.images.layout import find_text_files
from tasks.ingest.source import (
    Part,
    explain_access_errors,
    format_of_name,
    is_image_file,
    look_once,
    split_sheet,
    strip_query,
)
from tasks.queries import parse_query

# Formats of tables that nobody writes as a note beside images.
TYPED_TABLES = ("parquet", "arrow")
_TELLS = re.compile(r"(^|/)(dataset_\w+|state)[.]json$")  # what the datasets library writes beside its tables
# Formats that are data only where there is no other.
_BESIDE = ("json", "tar")
# Files of a competition at Kaggle.
_SUBMISSION = re.compile(r"submission[^/]*$", re.IGNORECASE)
_UNLABELED = re.compile(r"(submission[^/]*|(^|/)test[^/]*)$", re.IGNORECASE)
# A run's folder, and what else lies where the results go.
_REQUEST = re.compile(r"((?:.*/)?)runs/[^/]+/request[.]json")
_RESULTS = ("runs/", "datasets/", "embeddings/", "latest/", "swept/", "decisions.sqlite")
# Parts of a data set in the archives of the UCI repository, beside its `.data`.
_SPLITS = (".test", ".train", ".validation")
# What nobody takes for a table.
_NOTE = re.compile(
    r"(read|licen[cs]e|notes?\b|change|notice|index|about|description|requirements)", re.IGNORECASE
)
# What systems put into folders of images.
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "ehthumbs.db")

# Tables whose folder holds files of earlier versions too: only their log says which rows are there today.
_LAKES = {
    "_delta_log": ("a Delta Lake table", "such as with DeltaTable(...).to_pyarrow_table()"),
    ".hoodie": ("a Hudi table", "such as with spark.read and df.write.parquet"),
    "metadata": ("an Iceberg table", "such as with PyIceberg's scan().to_arrow()"),
}
# What folders of classes hold where they are no folders of images, and what to do then.
_SOUND = "labelsweep reads no sound: save one vector for each recording, and the labels, as .npz or Parquet"
_TEXTS = "write one table of them, such as a CSV with the columns text and label"
_OTHER_FILES = {
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".m4a"), _SOUND),
    **dict.fromkeys((".txt", ".md", ".html", ".pdf", ".docx", ""), _TEXTS),
    **dict.fromkeys((".data", ".dat", ".arff", ".libsvm", ".svm"), "name one of them"),
    **dict.fromkeys((".dcm", ".nii", ".svg", ".psd", ".cr2", ".nef", ".dng"), "convert them to PNG"),
}


@dataclass(frozen=True)
class Folder:
    """A folder as a source: what can be read in it, and what cannot.

    Attributes:
        base: The folder itself; its path ends with a slash.
        data: Files of a format of tables.
        images: Image files, at any depth.
        texts: Files of one text each in the folders of their classes, where there is nothing else.
        others: Every other file, relative to the folder.
        hidden: Files that the system or an unpacking left behind, relative to the folder.
    """

    base: Part
    data: tuple[Part, ...]
    images: tuple[Part, ...]
    others: tuple[str, ...]
    hidden: tuple[str, ...]
    texts: tuple[Part, ...] = ()

    def relative(self, part: Part) -> str:
        """Return the path of a file within the folder."""
        return part.path.removeprefix(self.base.path)

    @property
    def metadata(self) -> tuple[Part, ...]:
        """The tables that may describe the images beside them, as Hugging Face's `imagefolder` has it."""
        named = (part for part in self.data if part.path.rsplit("/", 1)[-1].startswith("metadata."))
        return tuple(named) if self.images else ()

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Tables beside those that are read, which may hold rows: without the notes that tell of the tables."""
        beside = [
            name
            for name in self.others
            if (_is_table(name) or name.endswith(_SPLITS)) and not _TELLS.search(name)
        ]
        return tuple(beside) if self.data and not self.images else ()

    @property
    def parts(self) -> list[Part]:
        """The files that a sweep depends on; images beside a data set of typed tables are none of its parts."""
        if self.data and all(part.kind in TYPED_TABLES for part in self.data) and not self.metadata:
            return list(self.data)
        return [*self.data, *self.images, *self.texts]


def open_source_folder(uri: str) -> Folder | None:
    """Return what lies in a folder, or in a zip archive, which is read as the folder that unpacking it would make.

    Returns:
        None where `uri` is neither.

    Raises:
        InputError: There is nothing there, nothing readable, or tables of several formats.
    """
    if uri.startswith("sample:") or parse_query(uri):
        return None
    return look_once(("folder", uri), partial(_look_at, uri))


def _look_at(uri: str) -> Folder | None:
    with explain_access_errors(uri):
        filesystem, path = open_address(split_sheet(uri)[0])
        # Not `exists` or `isdir`: they call a fault of the network "not there".
        if filesystem.info(path)["type"] == "directory":
            return _read_folder(filesystem, path, uri)
    if not strip_query(path).lower().endswith(".zip"):
        return None
    archive = Part(filesystem, path, uri)
    return _read_folder(*open_zip(archive.open(), uri), uri, archive)


def _read_folder(
    filesystem: Any,  # noqa: ANN401 (fsspec is untyped)
    path: str,
    uri: str,
    archive: Part | None = None,
) -> Folder:
    base = path.rstrip("/") + "/"
    local = isinstance(filesystem, LocalFileSystem)
    paths = sorted(_list_files_below(path.rstrip("/"), uri) if local else filesystem.find(path))
    places = {file.removeprefix(base): file for file in paths}
    files = _drop_results(list(places))
    _check_no_lake(files, uri)
    data: list[Part] = []
    images: list[Part] = []
    others, hidden = [], []
    for relative in files:
        file, steps = places[relative], relative.split("/")
        # What unpacking and version control leave behind begins with a dot or two such marks.
        aside = any(step.startswith((".", "__")) for step in steps) or steps[-1].lower() in _LEFT_BEHIND
        # The datasets library leaves intermediate results beside a saved data set under this name.
        intermediate = steps[-1].startswith("cache-")
        part = Part(filesystem, file, f"{uri.rstrip('/')}/{relative}", archive)
        if _is_table(file) and not intermediate and not any(map(_is_hidden, steps)):
            data.append(part)
        elif aside or (local and not Path(file).exists()):
            hidden.append(relative)
        elif is_image_file(file):  # a class may be called `_other`
            images.append(part)
        else:
            others.append(relative)
    for part in [*data, *images]:
        named = part.shown.encode(errors="backslashreplace").decode()  # no record could hold the name itself
        if named != part.shown:
            raise InputError("the name of this file is not UTF-8", where=named, fix="rename the file")
    if not data and not images and (lone := _find_lone_text(others)):
        others.remove(lone)
        data.append(Part(filesystem, places[lone], f"{uri.rstrip('/')}/{lone}", archive))
    rows = _keep_data_files(data, files)
    others += [part.path.removeprefix(base) for part in data if part not in rows]
    texts = find_text_files(others) if not rows and not images else []
    if not rows and not images and not texts:
        raise make_unreadable_error(others, uri)
    found = [Part(filesystem, places[file], f"{uri.rstrip('/')}/{file}", archive) for file in texts]
    whole, rest = Part(filesystem, base, uri, archive), dict.fromkeys(others).keys() - set(texts)
    return Folder(whole, tuple(rows), tuple(images), tuple(sorted(rest)), tuple(hidden), tuple(found))


def _drop_results(files: Sequence[str]) -> list[str]:
    """Return the files that no run of ours wrote: results lie below the source where one sweeps the folder that one is in.

    >>> _drop_results(["x.csv", "data/train.csv", "data/runs/x-1/request.json", "data/runs/x-1/queue.csv"])
    ['x.csv', 'data/train.csv']
    """
    outs = {found[1] for file in files if (found := _REQUEST.fullmatch(file))}
    ours = tuple(out + name for out in outs for name in _RESULTS)
    return [file for file in files if not file.startswith(ours)]


def _is_table(file: str) -> bool:
    """Return whether a file's name says that it holds a table: `.txt` and the like are notes wherever there are others."""
    return format_of_name(file) not in (None, "plain")


def _find_lone_text(others: Sequence[str]) -> str | None:
    """Return the one text file of a folder that may be a table, as in the archives of the UCI repository.

    >>> _find_lone_text(["readme.txt", "iris.data", "iris.names"]), _find_lone_text(["a.txt", "b.txt"])
    ('iris.data', None)
    """
    texts = [file for file in others if format_of_name(file) == "plain" and not _NOTE.match(file)]
    return texts[0] if len(texts) == 1 and "/" not in texts[0] else None


def _list_files_below(folder: str, uri: str) -> list[str]:
    """Return the files of a local folder; a link to a folder is followed, but never in a circle.

    Raises:
        InputError: This user may not list the folder, or one within it: data would be left out without a word.
    """

    def locked(error: OSError) -> None:
        with explain_access_errors(
            f"{uri.rstrip('/')}/{os.path.relpath(error.filename, folder)}".removesuffix("/.")
        ):
            raise error

    found: list[str] = []
    above: dict[str, tuple[str, ...]] = {folder: (os.path.realpath(folder),)}
    for place, names, files in os.walk(folder, followlinks=True, onerror=locked):
        reals = {name: os.path.realpath(f"{place}/{name}") for name in names}
        names[:] = [name for name in names if reals[name] not in above[place]]
        above |= {f"{place}/{name}": (*above[place], reals[name]) for name in names}
        found += [f"{place}/{name}" for name in files]
    return found


def _is_hidden(step: str) -> bool:
    """Return whether a file or folder is a marker or a note; a folder of a partition never is.

    >>> [_is_hidden(step) for step in ("_SUCCESS", ".part-0.crc", "_split=a", "part-0.parquet")]
    [True, True, False, False]
    """
    return step.startswith(".") or (step.startswith("_") and "=" not in step)


def _check_no_lake(relative: Sequence[str], uri: str) -> None:
    """Refuse a table of a lake by name: its folder also holds rows that were deleted or replaced.

    Raises:
        InputError: The folder is one.
    """
    folders = {step for path in relative for step in path.split("/")[:-1]} - {"metadata"}
    if any(path.startswith("metadata/") and path.endswith(".metadata.json") for path in relative):
        folders.add("metadata")
    if found := next((lake for folder, lake in _LAKES.items() if folder in folders), None):
        what, how = found
        fix = f"write it as Parquet, {how}"
        raise InputError(f"{what}: its files also hold rows of earlier versions", where=uri, fix=fix)


def _keep_data_files(parts: Sequence[Part], relative: Sequence[str]) -> list[Part]:
    """Return the files that hold rows.

    In the files of a competition at Kaggle the test set has no labels, and a submission is only an example. JSON files beside
    another format are notes, as the datasets library writes them, and archives hold what the tables name. Spark writes an empty
    file for a partition without rows, and a marker once everything is written.
    """
    if any(_SUBMISSION.search(path) for path in relative):
        parts = [part for part in parts if not _UNLABELED.search(part.path)] or parts
    tables = [part for part in parts if part.kind not in _BESIDE]
    found = tables or [part for part in parts if part.kind == "tar"] or list(parts)
    if len(found) > 1 and any(path.rsplit("/", 1)[-1] == "_SUCCESS" for path in relative):
        found = [part for part in found if part.size != 0] or found
    return found


def make_unreadable_error(others: Sequence[str], uri: str) -> InputError:
    """Return the error for a folder without tables and images: what lies there instead, and what to do.

    >>> make_unreadable_error(["cat/1.wav", "dog/2.WAV", "notes.txt"], "x").what
    "no data files in this folder, but 2 of type '.wav'"
    """
    fix = f"it should hold {list_readable_suffixes()}, or one sub-folder of images for each class"
    found = Counter(PurePosixPath(path.lower()).suffix for path in others)
    kind, count = found.most_common(1)[0] if found else ("", 0)
    what = "no data files in this folder"
    if count > 1:
        what += f", but {count:,} " + (f"of type '{kind}'" if kind else "without a type in their names")
        fix = _OTHER_FILES.get(kind, fix)
    return InputError(what, where=uri, fix=fix)
