"""Versions of a data set, each a folder that is written once: `OUT/datasets/<name>/v0001/`.

    dataset.parquet    canonical data, the layout of the run's own
    changes.parquet    what differs from the parent version, and which decisions say so
    version.json       the lineage: parent, source, run, decisions, rule
    gain.json          what the corrections were worth, where it was measured

A version never changes again. Version 0 of a data set, and every version that new source data begins, holds
the source as the audit saw it; a correction is a new version whose parent is the one that it corrects; going
back is a new version as well. The *state* of a version is a digest of its samples, their contents and labels,
in order: equal states are equal data sets.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from tasks.apply.plan import KEY_COLUMNS, Plan
from tasks.errors import InputError
from tasks.records import Dataset, Record
from tasks.runs.lock import lock_folder
from tasks.storage import name_latest, read_batches, read_json, write_json, write_table

Kind = Literal["source", "corrected", "restored"]
Columns = dict[str, str | tuple[str, ...]]

_VERSION_FILE = re.compile(r"(?:.*/)?datasets/([^/]+)/(v\d{4,})/dataset\.parquet")

CHANGES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("content_hash", pa.string()),
        ("change", pa.string()),
        ("old_label", pa.string()),
        ("new_label", pa.string()),
        ("reviewers", pa.list_(pa.string())),
        ("decisions", pa.list_(pa.int64())),
    ]
)


class Version(Record):
    """One version of a data set and where it comes from.

    `data_set` is the key of the data set, whatever its files are called, and `source_files` a digest of these. `columns` says
    which column means what, so that `labelsweep clean` takes the version's folder as it is. `source_label` is the column of the
    label in the layout of the source, where the version is written in that one too, and `source_encoding` the encoding that the
    user named for it.
    """

    name: str
    number: int
    kind: Kind
    parent: int | None
    created: str
    state: str
    rows: int
    classes: tuple[str, ...]
    source_uri: str
    source_digest: str
    run: str | None = None
    rule: str | None = None
    decisions: tuple[int, ...] = ()
    relabeled: int = 0
    dropped: int = 0
    restored_from: int | None = None
    columns: Columns = Field(default_factory=dict)
    source_label: str | None = None
    source_encoding: str | None = None
    data_set: str | None = None
    source_files: str | None = None

    @property
    def label(self) -> str:
        """The version's folder name."""
        return f"v{self.number:04d}"


def read_version(folder: Path) -> Version:
    """Return what a version's folder says of it."""
    return Version.model_validate(read_json(folder / "version.json"))


def find_swept_version(run: Path, uri: str) -> Path | None:
    """Return the folder of the version that a run swept; None where it swept no version.

    Args:
        run: The run folder; versions on an object store are beside it once they are fetched.
    """
    folder = Path(uri).parent
    if "://" in uri:
        found = _VERSION_FILE.fullmatch(uri)
        folder = run.parents[1] / "datasets" / found[1] / found[2] if found else Path()
    elif Path(uri).name != "dataset.parquet":
        return None
    return folder if (folder / "version.json").is_file() and (folder / "dataset.parquet").is_file() else None


def find_origin(run: Path, version: Path) -> str:
    """Return the source that was swept first, on the way to a version."""
    uri = str(read_json(version / "version.json")["source_uri"])
    before = find_swept_version(run, uri)
    return find_origin(run, before) if before else uri


def name_columns(dataset: Dataset) -> Columns:
    """Return which column of canonical data means what, by the names of the options of `labelsweep clean`.

    Args:
        dataset: The data set as a run keeps it.
    """
    found: Columns = {"label": "label", "id": "sample_id"}
    if dataset.trusted:
        found["trusted"] = "trusted"
    if dataset.raters:
        found["raters"] = dataset.raters
    if dataset.group:
        found["group"] = dataset.group
    if dataset.payload == "tabular":
        return found | {"features": dataset.feature_names}
    return found | {dataset.payload: "features" if dataset.payload == "embedding" else dataset.payload}


def list_versions(out: Path, name: str) -> list[Version]:
    """Return the versions of a data set, oldest first."""
    found = [read_version(path.parent) for path in (out / "datasets" / name).glob("v[0-9]*/version.json")]
    return sorted(found, key=lambda version: version.number)


def name_version_folder(out: Path, version: Version) -> Path:
    """Return where a version is."""
    return out / "datasets" / version.name / version.label


def find_version(out: Path, wanted: str, name: str | None = None) -> Version:
    """Return a version by number, `v0002`, `name/v0002`, or its folder.

    Raises:
        InputError: There is no such version under `out`, or several data sets have one.
    """
    path = Path(wanted)
    if (path / "version.json").is_file():
        folder = path.resolve()
        if folder.parents[1] != (out / "datasets").resolve():
            what = "is not a version of a data set in these results"
            fix = f"name a folder of {out / 'datasets'}, or other results with --out"
            raise InputError(what, where=str(folder), fix=fix)
        return read_version(folder)
    if "/" in wanted:
        name, _, wanted = wanted.rpartition("/")
    root = out / "datasets"
    names = [name] if name else sorted(p.name for p in root.glob("*") if any(p.glob("v[0-9]*/version.json")))
    if len(names) != 1:
        what = f"{len(names)} data sets have versions" if names else "no data set has versions"
        fix = f"write {names[0]}/{wanted}" if names else "labelsweep apply makes one"
        raise InputError(what, where=str(root), fix=fix)
    digits = wanted.removeprefix("v")
    found = [v for v in list_versions(out, names[0]) if digits.isdecimal() and v.number == int(digits)]
    if not found:
        known = ", ".join(v.label for v in list_versions(out, names[0])) or "none"
        raise InputError(f"no version {wanted!r}", where=str(root / names[0]), fix=f"there are: {known}")
    return found[0]


def name_of(out: Path, dataset: Dataset, data_set: str | None = None) -> str:
    """Return the name under which versions of a data set are kept.

    A run on a version continues with its data set. Two data sets of the same name are told apart by their key; where versions
    say no key, by the address of their source.

    Args:
        data_set: The key of the data set.
    """
    if swept := _VERSION_FILE.fullmatch(dataset.uri):
        return swept[1]
    found = list_versions(out, dataset.name)
    keys = {version.data_set for version in found} - {None}
    if not found or data_set in keys or (not keys and found[0].source_uri == dataset.uri):
        return dataset.name
    # A data set that has a name is the same one whatever its files are called tonight.
    address = data_set if data_set == dataset.name else dataset.uri
    return f"{dataset.name}-{hashlib.sha256(address.encode()).hexdigest()[:6]}"


def correct_rows(source: Path, plan: Plan) -> Iterator[pa.Table]:
    """Yield the data set with the plan's changes, part by part.

    Args:
        source: Canonical `dataset.parquet`.
    """
    for _, batch in read_batches(source):
        table = pa.table(batch)
        changes = dict(plan.find_changes(table["sample_id"]))
        if changes:
            labels = table["label"].cast(pa.string()).to_pylist()
            for row, change in changes.items():
                labels[row] = change.new_label
            index, field = table.schema.get_field_index("label"), table.schema.field("label")
            table = table.set_column(index, field, pa.array(labels, pa.string()).cast(field.type))
            dropped = [row for row, change in changes.items() if change.new_label is None]
            table = table.take(pa.array(np.setdiff1d(np.arange(len(table)), dropped)))
        yield table


def digest_state(tables: Iterator[pa.Table]) -> tuple[str, int]:
    """Return the digest of a data set's samples, contents and labels, and how many samples there are."""
    digest, rows = hashlib.sha256(), 0
    for table in tables:
        columns = [table[name].cast(pa.string()).to_pylist() for name in KEY_COLUMNS]
        for row in zip(*columns, strict=True):
            digest.update("\0".join(value or "" for value in row).encode() + b"\n")
        rows += table.num_rows
    return digest.hexdigest(), rows


def read_key_tables(source: Path) -> Iterator[pa.Table]:
    """Yield the columns that make up the state of a data set, part by part."""
    return (pa.table(batch) for _, batch in read_batches(source, KEY_COLUMNS))


def write_version(
    out: Path,
    version: Version,
    write_data: Callable[[Path], None],
    changes: Sequence[Mapping[str, object]] = (),
    write_beside: Callable[[Path], None] | None = None,
) -> Path:
    """Publish a version: the folder appears under its name when all of it is written.

    Args:
        write_data: Writes the data set to the path that it is given.
        changes: What differs from the parent version, by the columns of `CHANGES`.
        write_beside: Writes what else belongs to the version into its folder.

    Raises:
        InputError: Somebody else has just written a version of this number.
    """
    final = name_version_folder(out, version)
    final.parent.mkdir(parents=True, exist_ok=True)
    with lock_versions(final.parent), _open_temporary(final) as folder:
        write_data(folder / "dataset.parquet")
        write_table(pa.Table.from_pylist(list(changes), CHANGES), folder / "changes.parquet")
        if write_beside:
            write_beside(folder)
        write_json(version.model_dump(mode="json"), folder / "version.json")
        try:
            folder.rename(final)
        except OSError as error:
            what, fix = "another process has just written this version", "try again"
            raise InputError(what, where=str(final), fix=fix) from error
        name_latest(final)
    return final


@contextmanager
def lock_versions(root: Path) -> Iterator[None]:
    """Let one process at a time write versions of a data set; what a killed one left half written is removed.

    The lock ends with the process that holds it, however that ends.
    """
    with lock_folder(root):
        for left in root.glob(".v[0-9]*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


@contextmanager
def _open_temporary(final: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def share_file(source: Path, target: Path) -> None:
    """Link an unchanging file instead of copying it, where the file system can."""
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def make_timestamp() -> str:
    """Return the time as versions record it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def choose_next_number(found: list[Version]) -> int:
    """Return the number of the next version.

    >>> choose_next_number([])
    0
    """
    return max((version.number for version in found), default=-1) + 1
