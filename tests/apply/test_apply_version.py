import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decided_run import decide, decide_by_truth, truth_of

from tasks.apply.columnar import _group_rows
from tasks.apply.correct import apply_plan, compare_versions, plan_for, restore_version
from tasks.apply.version import (
    Version,
    digest_state,
    find_version,
    list_versions,
    read_key_tables,
    write_version,
)
from tasks.errors import InputError
from tasks.ingest.source import locate
from tasks.ingest.table import open_part
from tasks.review.queue import load_queue
from tasks.storage import finish_run

VERSION = Version(
    name="digits",
    number=0,
    kind="source",
    parent=None,
    created="",
    state="",
    rows=0,
    classes=(),
    source_uri="",
    source_digest="",
)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def apply(run: Path, out: Path):
    return apply_plan(run, out, plan_for(run, out))


def labels(file: Path) -> dict[str, str]:
    table = pq.read_table(file, columns=["sample_id", "label"])
    return dict(zip(table["sample_id"].to_pylist(), table["label"].to_pylist(), strict=True))


def test_a_new_version_holds_the_corrections_and_nothing_is_changed_in_place(run: Path, out: Path):
    decide_by_truth(out, run)
    before = digests(run)
    applied = apply(run, out)
    assert digests(run) == before
    assert [version.kind for version in list_versions(out, "digits")] == ["source", "corrected"]
    old, new, truth = (
        labels(run / "dataset.parquet"),
        labels(applied.folder / "dataset.parquet"),
        truth_of(run),
    )
    queued = {item.sample_id for item in load_queue(run).items}
    assert {s for s in old if old[s] != new[s]} == {s for s in queued if old[s] != truth[s]}
    assert all(new[s] == truth[s] for s in queued)
    assert labels(out / "datasets" / "digits" / "v0000" / "dataset.parquet") == old
    assert (out / "datasets" / "digits" / "latest").resolve() == applied.folder.resolve()


def test_all_other_columns_stay_as_they_are(run: Path, out: Path):
    decide_by_truth(out, run)
    folder = apply(run, out).folder
    old, new = pq.read_table(run / "dataset.parquet"), pq.read_table(folder / "dataset.parquet")
    assert new.schema.equals(old.schema)
    assert new.drop_columns(["label"]).equals(old.drop_columns(["label"]))


def test_the_version_says_where_it_comes_from_and_what_changed(run: Path, out: Path):
    first, second = load_queue(run).items[:2]
    decide(out, run, [(first.sample_id, "Ada", "suggestion"), (second.sample_id, "Bo", "drop")])
    applied = apply(run, out)
    version = find_version(out, "1")
    assert (version.parent, version.run, version.rule, version.decisions) == (0, run.name, "majority", (1, 2))
    assert (version.relabeled, version.dropped) == (1, 1)
    assert version.source_uri == "sample:digits"
    rows = {row["sample_id"]: row for row in pq.read_table(applied.folder / "changes.parquet").to_pylist()}
    assert rows[first.sample_id] == {
        "sample_id": first.sample_id,
        "content_hash": first.key.content_hash,
        "change": "relabel",
        "old_label": first.given,
        "new_label": first.suggested,
        "reviewers": ["Ada"],
        "decisions": [1],
    }
    assert rows[second.sample_id]["change"] == "drop"
    assert second.sample_id not in labels(applied.folder / "dataset.parquet")


def test_applying_twice_changes_nothing(run: Path, out: Path):
    decide_by_truth(out, run)
    first = apply(run, out)
    before = digests(out / "datasets")
    again = apply(run, out)
    assert (first.is_new, again.is_new, again.folder) == (True, False, first.folder)
    assert digests(out / "datasets") == before


def test_without_a_change_no_version_is_written(run: Path, out: Path):
    item = load_queue(run).items[0]
    decide(out, run, [(item.sample_id, "Ada", "keep")])
    assert apply(run, out).folder is None
    assert not (out / "datasets").exists()


def test_where_all_corrections_are_taken_back_a_line_says_how_the_version_is(run: Path, out: Path):
    item = load_queue(run).items[0]
    decide(out, run, [(item.sample_id, "Ada", "suggestion")])
    apply(run, out)
    decide(out, run, [(item.sample_id, "Ada", "keep")])
    applied = apply(run, out)
    assert applied.folder is None
    assert (
        "v0001 holds changes that were decided otherwise since; labelsweep restore digits/v0000"
        in applied.write_sentence()
    )


def test_more_decisions_make_another_version_with_all_of_them(run: Path, out: Path):
    first, second = load_queue(run).items[:2]
    decide(out, run, [(first.sample_id, "Ada", "suggestion")])
    apply(run, out)
    decide(out, run, [(second.sample_id, "Ada", "suggestion")])
    folder = apply(run, out).folder
    assert [(v.number, v.kind, v.relabeled) for v in list_versions(out, "digits")] == [
        (0, "source", 0),
        (1, "corrected", 1),
        (2, "corrected", 2),
    ]
    new = labels(folder / "dataset.parquet")
    assert (new[first.sample_id], new[second.sample_id]) == (first.suggested, second.suggested)


def test_a_difference_lists_every_change_and_its_reverse(run: Path, out: Path):
    first, second = load_queue(run).items[:2]
    decide(out, run, [(first.sample_id, "Ada", "suggestion"), (second.sample_id, "Ada", "drop")])
    new = apply(run, out).folder
    old = new.parent / "v0000"
    rows = {row["sample_id"]: tuple(row.values())[1:] for row in compare_versions(old, new).to_pylist()}
    assert rows == {
        first.sample_id: ("relabel", first.given, first.suggested),
        second.sample_id: ("drop", second.given, None),
    }
    back = {row["sample_id"]: tuple(row.values())[1:] for row in compare_versions(new, old).to_pylist()}
    assert back == {
        first.sample_id: ("relabel", first.suggested, first.given),
        second.sample_id: ("add", None, second.given),
    }
    assert compare_versions(new, new).num_rows == 0


def test_an_older_version_comes_back_as_a_new_one(run: Path, out: Path):
    decide_by_truth(out, run)
    new = apply(run, out).folder
    back = restore_version(out, find_version(out, "v0000"))
    assert (back.is_new, back.version.number, back.version.restored_from, back.version.parent) == (
        True,
        2,
        0,
        1,
    )
    assert labels(back.folder / "dataset.parquet") == labels(run / "dataset.parquet")
    assert (
        pq.read_metadata(back.folder / "changes.parquet").num_rows
        == compare_versions(new, back.folder).num_rows
        > 0
    )
    assert not restore_version(out, find_version(out, "0")).is_new


def test_a_version_is_named_by_its_folder_and_another_folder_is_refused(run: Path, out: Path, tmp_path: Path):
    decide_by_truth(out, run)
    new = apply(run, out).folder
    assert find_version(out, str(new)).number == 1
    assert find_version(out, str(new.with_name("latest"))).number == 1
    for other in (new, run):
        (other / "version.json").touch()  # a run has one of its own, which says something else
        with pytest.raises(InputError, match=r"not a version of a data set in these results; .*--out"):
            find_version(tmp_path if other == new else out, str(other))


def test_rows_stay_together_as_the_largest_group_of_the_source_has_them(tmp_path: Path):
    table = pa.table({"label": ["cat"] * 7})
    with pq.ParquetWriter(tmp_path / "pets.parquet", table.schema) as writer:
        writer.write_table(table.slice(0, 0))
        writer.write_table(table)
    (part,) = locate(str(tmp_path / "pets.parquet"))
    assert _group_rows(open_part(part, frozenset())) == 7


def test_versions_beyond_four_digits_stay_in_order(out: Path):
    for number in (9_999, 10_000, 2):
        write_version(out, VERSION.model_copy(update={"number": number}), Path.touch)
    assert [version.number for version in list_versions(out, "digits")] == [2, 9_999, 10_000]


@pytest.mark.parametrize("wanted", ["7", "v0007", "digits/7", "seven"])
def test_a_version_that_is_not_there_is_one_clear_line(run: Path, out: Path, wanted: str):
    decide_by_truth(out, run)
    apply(run, out)
    with pytest.raises(InputError, match=r"no version .*; there are: v0000, v0001"):
        find_version(out, wanted)


def test_two_sources_of_one_name_do_not_share_versions(run: Path, out: Path):
    decide_by_truth(out, run)
    apply(run, out)
    record = run / "steps" / "ingest.json"
    record.write_text(record.read_text().replace('"sample:digits"', '"/elsewhere/digits.parquet"'))
    finish_run(run)
    other = apply(run, out)
    assert other.folder.parent.name.startswith("digits-")
    assert len(list_versions(out, "digits")) == 2


CODE = """
import sys
from pathlib import Path
from tasks.apply.correct import apply_plan, plan_for
run, out = Path(sys.argv[1]), Path(sys.argv[2])
plan = plan_for(run, out)
print("ready", flush=True)
apply_plan(run, out, plan)
"""


def test_killed_at_any_moment_it_leaves_whole_versions_or_none(run: Path, out: Path):
    decide_by_truth(out, run)
    rng = random.Random(0)  # noqa: S311 (no secret)
    for _ in range(4):
        command = [sys.executable, "-W", "ignore", "-c", CODE, str(run), str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.random() * 0.06)
        process.kill()
        process.wait()
        process.stdout.close()
        for version in list_versions(out, "digits"):
            folder = out / "datasets" / "digits" / version.label
            assert digest_state(read_key_tables(folder / "dataset.parquet")) == (version.state, version.rows)
            assert (folder / "changes.parquet").exists()
    apply(run, out)
    left = sorted(path.name for path in (out / "datasets" / "digits").iterdir())
    assert left == ["latest", "v0000", "v0001"]
