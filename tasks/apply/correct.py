"""Decisions to a new version of the data set; differences between versions; the way back to an older one."""

import hashlib
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.apply import version as versions
from tasks.apply.layout import find_written, read_label_options
from tasks.apply.moved_images import MOVES
from tasks.apply.plan import KEY_COLUMNS, Plan, carry_decisions, make_plan
from tasks.apply.source_files import SourceFiles, copy_beside
from tasks.queue.earlier_hashes import find_equal_hashes
from tasks.records import Dataset
from tasks.review.ledger import Rule
from tasks.review.log import read_log
from tasks.runs.checksums import check_run
from tasks.runs.finished import read_dataset, read_part_digests
from tasks.runs.request import read_asked
from tasks.storage import ROWS_PER_GROUP, open_table_writer, read_parquet


@dataclass(frozen=True, slots=True)
class Applied:
    """The version that holds the decisions; `is_new` is False where they were applied before, or change nothing.

    `note` says why the layout of the source was not written.
    """

    version: versions.Version | None
    folder: Path | None
    is_new: bool
    note: str = ""

    @property
    def layout(self) -> Path | None:
        """Where the version is in the layout of its source, where that is one of the datasets library's."""
        return find_written(self.folder) if self.folder else None

    @property
    def files(self) -> list[tuple[Path, str]]:
        """What the source became, each with what it is: a file, a folder of several, or where images go."""
        if self.layout is None:
            return []
        inside = sorted(self.layout.iterdir())
        moves = self.layout / MOVES
        if moves in inside:
            copies = [(path, "a copy of them") for path in inside if path.is_dir()]
            return [(moves, "which of your files move or go"), *copies]
        alone = len(inside) == 1 and inside[0].is_file()
        return [(inside[0] if alone else self.layout, "your own data with these changes and nothing else")]

    def write_sentence(self) -> str:
        """Say in a line what was written, and where it is."""
        if self.folder is None:
            return f"\nNothing to apply: no decision changes a label.\n{self.note}"
        found = "written" if self.is_new else "already holds these decisions, nothing was written"
        own = "".join(f"{path}: {what}.\n" for path, what in self.files)
        return f"\n{self.folder}: {found}.\n{own}{self.note}"


def plan_for(run: Path, out: Path, rule: Rule = "majority") -> Plan:
    """Work out what the decisions under `out` would change in the data set of a run.

    Args:
        out: The output folder, where the log is.
        rule: How differing answers of several reviewers are resolved.

    Raises:
        InputError: A file of the run is not what the run wrote, or the log cannot be read.
    """
    check_run(run)
    columns = read_parquet(run / "dataset.parquet", columns=list(KEY_COLUMNS))
    rows = carry_decisions(read_log(out), find_equal_hashes(run.parent))
    return make_plan(columns, rows, run.name, rule, _list_classes(run))


def _list_classes(run: Path) -> set[str]:
    """Return the classes of a run's data, those that no row is labeled with, and those of rows that were set aside."""
    aside = run / "quarantine.parquet"
    rare = read_parquet(aside, columns=["label"])["label"].to_pylist() if aside.exists() else []
    return {*read_dataset(run).offered, *map(str, rare)}


def apply_plan(run: Path, out: Path, plan: Plan, *, copy_images: bool = False) -> Applied:
    """Write a new version of the data set with the plan's changes; nothing is ever changed in place.

    Applying the same decisions again finds that the newest version already holds them, and writes nothing.

    Args:
        copy_images: Whether a folder of images is copied with its corrections.
    """
    dataset, source = read_dataset(run), run / "dataset.parquet"
    asked = read_asked(run)
    data_set = asked.data_set if asked else None
    name = versions.name_of(out, dataset, data_set)
    found = versions.list_versions(out, name)
    data_set = next((version.data_set for version in found if version.data_set), data_set)
    state, rows = versions.digest_state(versions.correct_rows(source, plan))
    own = SourceFiles(run, dataset, plan, state, copy_images)
    files = _digest_files(run, dataset.uri)
    if found and _holds(out, found[-1], state, files, run):
        folder = versions.name_version_folder(out, found[-1])
        note = own.write_missing(folder) if plan.changes else ""
        return Applied(found[-1], folder, is_new=False, note=note)
    if not plan.changes:
        return Applied(None, None, is_new=False, note=_describe_withdrawn(found, run))
    parent = _find_source_version(out, name, data_set, dataset, source, found)
    label, encoding = read_label_options(run, dataset)
    version = versions.Version(
        name=name,
        number=versions.choose_next_number(versions.list_versions(out, name)),
        kind="corrected",
        parent=parent.number,
        created=versions.make_timestamp(),
        state=state,
        rows=rows,
        classes=tuple(sorted(label for label, count in plan.after.items() if count > 0)),
        source_uri=dataset.uri,
        source_digest=dataset.digest,
        run=run.name,
        rule=plan.rule,
        decisions=tuple(sorted({seq for change in plan.changes for seq in change.decisions})),
        relabeled=sum(change.new_label is not None for change in plan.changes),
        dropped=sum(change.new_label is None for change in plan.changes),
        columns=versions.name_columns(dataset),
        source_label=label,
        source_encoding=encoding,
        data_set=data_set,
        source_files=files,
    )
    notes: list[str] = []
    folder = versions.write_version(
        out,
        version,
        partial(_write_corrected, source, plan),
        [asdict(change) | {"change": change.kind} for change in plan.changes],
        lambda folder: notes.append(own.write(folder)),
    )
    return Applied(version, folder, is_new=True, note="".join(notes))


def _describe_withdrawn(found: list[versions.Version], run: Path) -> str:
    """Return how to take back what the newest version still holds of a run of which no decision changes a label any more."""
    newest = found[-1] if found else None
    if newest is None or newest.kind != "corrected" or newest.run != run.name:
        return ""
    before = f"labelsweep restore {newest.name}/v{newest.parent:04d}"
    return f"{newest.label} holds changes that were decided otherwise since; {before} takes them back.\n"


def _write_corrected(source: Path, plan: Plan, target: Path) -> None:
    with open_table_writer(target, pq.read_schema(source)) as writer:
        for table in versions.correct_rows(source, plan):
            if table.num_rows:
                writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def _holds(out: Path, version: versions.Version, state: str, files: str, run: Path) -> bool:
    """Return whether a version is the corrected data of a run: of these files, since columns that tell no content may differ.

    One without files of its own, because the source was another one just then, can still be given them.
    """
    is_of_files = version.source_files in (None, files)
    lacks_files = version.run == run.name and find_written(versions.name_version_folder(out, version)) is None
    return version.state == state and (is_of_files or lacks_files)


def _digest_files(run: Path, uri: str) -> str:
    """Return a digest of the files of the source that a run swept, and of what they are called within it."""
    names = {name.removeprefix(uri): digest for name, digest in read_part_digests(run).items()}
    return hashlib.sha256("\n".join(f"{name}\t{names[name]}" for name in sorted(names)).encode()).hexdigest()


def _find_source_version(
    out: Path, name: str, data_set: str | None, dataset: Dataset, source: Path, found: list[versions.Version]
) -> versions.Version:
    """Return the version that holds what is corrected; write it first where there is none yet."""
    state, rows = versions.digest_state(versions.read_key_tables(source))
    same = [version for version in found if version.state == state]
    if same:
        return same[-1]
    version = versions.Version(
        name=name,
        number=versions.choose_next_number(found),
        kind="source",
        parent=found[-1].number if found else None,
        created=versions.make_timestamp(),
        state=state,
        rows=rows,
        classes=dataset.classes,
        source_uri=found[0].source_uri if found else dataset.uri,
        source_digest=dataset.digest,
        columns=versions.name_columns(dataset),
        data_set=data_set,
    )
    versions.write_version(out, version, partial(versions.share_file, source))
    return version


def compare_versions(old: Path, new: Path) -> pa.Table:
    """Return what differs between two versions, by sample.

    Returns:
        `sample_id`, `change` (relabel, drop, add, content), `old_label`, `new_label`; in the order of the old
        version, then of the new one.
    """
    before, after = _read_keys(old), _read_keys(new)
    both = before.join(after, rsuffix="_now")
    gone, relabeled = both["label_now"].isna(), both["label_now"] != both["label"]
    edited = both["content_hash_now"] != both["content_hash"]
    both["change"] = np.select([gone, relabeled, edited], ["drop", "relabel", "content"], "")
    changed = both[both["change"] != ""].rename(columns={"label": "old_label", "label_now": "new_label"})
    added = after[~after.index.isin(before.index)].rename(columns={"label": "new_label"}).assign(change="add")
    names = ("sample_id", "change", "old_label", "new_label")
    schema = pa.schema([(name, pa.string()) for name in names])
    return pa.Table.from_pandas(pd.concat([changed, added]).reset_index(), schema, preserve_index=False)


def _read_keys(folder: Path) -> pd.DataFrame:
    columns = read_parquet(folder / "dataset.parquet", columns=list(KEY_COLUMNS)).to_pandas()
    return columns.astype(object).set_index("sample_id")


def restore_version(out: Path, version: versions.Version) -> Applied:
    """Make an older version the newest again: as a new version, so that the way there stays on record."""
    found = versions.list_versions(out, version.name)
    newest = found[-1]
    if newest.state == version.state:
        return Applied(newest, versions.name_version_folder(out, newest), is_new=False)
    again = version.model_copy(
        update={
            "number": versions.choose_next_number(found),
            "kind": "restored",
            "parent": newest.number,
            "created": versions.make_timestamp(),
            "restored_from": version.number,
        }
    )
    rows = compare_versions(
        versions.name_version_folder(out, newest), versions.name_version_folder(out, version)
    ).to_pylist()
    changes = [row | {"reviewers": [], "decisions": []} for row in rows]
    source = versions.name_version_folder(out, version) / "dataset.parquet"
    folder = versions.write_version(
        out, again, partial(versions.share_file, source), changes, partial(copy_beside, source.parent)
    )
    return Applied(again, folder, is_new=True)
