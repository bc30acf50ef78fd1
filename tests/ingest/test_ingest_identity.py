"""Ids are unique, come from the content, and do not change with the order of rows or columns."""

import hashlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.ingest import ingest
from tasks.ingest.identity import OccurrenceCounter, encode_vector_rows, hash_contents, make_sample_id
from tasks.ingest.source import Part
from tasks.records import Source

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def identities(tmp_path, rows, columns=("x", "y")):
    table = pa.table(
        {
            **{
                name: pa.array([row[0 if name == "x" else 1] for row in rows], pa.float32())
                for name in columns
            },
            "label": pa.array([row[2] for row in rows], pa.string()),
        }
    )
    path = tmp_path / "i.parquet"
    pq.write_table(table, path)
    out = pq.read_table(ingest(Source(uri=str(path), features=tuple(columns)), tmp_path / "run").path)
    return list(zip(out["sample_id"].to_pylist(), out["content_hash"].to_pylist(), strict=True))


numbers = st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), float("inf")])
rows_of = st.lists(st.tuples(numbers, numbers, st.sampled_from(["a", "b", None])), max_size=12).map(
    lambda rows: [*rows, (9.0, 9.0, "a"), (9.0, 9.0, "b")]
)


@SETTINGS
@given(rows_of, st.randoms())
def test_ids_are_unique_and_do_not_depend_on_the_order_of_rows(tmp_path, rows, random):
    first = identities(tmp_path, rows)
    shuffled = rows.copy()
    random.shuffle(shuffled)
    again = identities(tmp_path, shuffled)
    assert len({one for one, _ in first}) == len(rows)
    assert sorted(first) == sorted(again)


@SETTINGS
@given(rows_of)
def test_the_content_hash_tells_contents_apart_and_knows_nothing_of_labels(tmp_path, rows):
    def same(a, b):
        return all(p == q or (p != p and q != q) for p, q in zip(a[:2], b[:2], strict=True))

    hashes = [content for _, content in identities(tmp_path, rows)]
    for i, row in enumerate(rows):
        for j, other in enumerate(rows):
            assert (hashes[i] == hashes[j]) == same(row, other)


def test_ids_do_not_depend_on_the_order_of_columns(tmp_path):
    rows = [(1.0, 2.0, "a"), (3.0, 4.0, "b")]
    assert identities(tmp_path, rows) == identities(tmp_path, rows, columns=("y", "x"))


def test_a_new_row_changes_no_id_of_the_others(tmp_path):
    rows = [(1.0, 2.0, "a"), (3.0, 4.0, "b")]
    assert identities(tmp_path, rows) == identities(tmp_path, [*rows, (5.0, 6.0, "a")])[:2]


def test_ids_are_pinned_across_machines_and_versions():
    """A decision of last year must still find its sample: this is the definition, written out."""
    vector = np.array([[1.0, -0.0]], np.float32)
    content = hashlib.sha256(b"tabular\0x\0y\0" + np.array([1.0, 0.0], "<f4").tobytes()).hexdigest()[:32]
    assert hash_contents("tabular", ("x", "y"), encode_vector_rows(vector)) == [content]
    assert make_sample_id(content, "cat") == hashlib.sha256(f"{content}\0cat".encode()).hexdigest()[:16]
    assert (
        make_sample_id(content, "cat", 2) == hashlib.sha256(f"{content}\0cat\0002".encode()).hexdigest()[:16]
    )


def test_ids_look_as_promised(tmp_path):
    for one, content in identities(tmp_path, [(1.0, 2.0, "a"), (3.0, 4.0, "b")]):
        assert re.fullmatch("[0-9a-f]{16}", one)
        assert re.fullmatch("[0-9a-f]{32}", content)


@given(st.lists(st.integers(0, 5)))
def test_occurrences_are_numbered_in_order(values):
    ids = [make_sample_id("content", str(value)) for value in values]
    occurrences = OccurrenceCounter()
    occurrences.see(ids[:3])
    occurrences.see(ids[3:])
    found = occurrences.count_earlier()
    expected = [values[:position].count(value) for position, value in enumerate(values)]
    assert (found is None) == (len(set(values)) == len(values))
    if found is not None:
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7, 8]), ["7", "8"]),
        (pa.array(["007", "7"]), ["007", "7"]),
        (pa.array([7.0, 8.0]), ["7", "8"]),
    ],
)
def test_the_users_ids_are_kept_as_text(values, expected, tmp_path):
    pq.write_table(pa.table({"key": values, "x": [1, 2], "label": ["a", "b"]}), tmp_path / "k.parquet")
    dataset = ingest(Source(uri=str(tmp_path / "k.parquet"), id="key"), tmp_path / "run")
    assert pq.read_table(dataset.path)["sample_id"].to_pylist() == expected
    assert dataset.feature_names == ("x",)


def test_csv_ids_keep_their_zeros(tmp_path):
    (tmp_path / "k.csv").write_text("key,x,label\n007,1,a\n7,2,b\n")
    dataset = ingest(Source(uri=str(tmp_path / "k.csv"), id="key"), tmp_path / "run")
    assert pq.read_table(dataset.path)["sample_id"].to_pylist() == ["007", "7"]


def test_the_digest_changes_with_label_content_and_order(tmp_path):
    def digest(text):
        (tmp_path / "d.csv").write_text(text)
        return ingest(Source(uri=str(tmp_path / "d.csv")), tmp_path / "run").digest

    base = "x,note,label\n1,n,a\n2,n,b\n3,n,a\n"
    variants = [
        base,
        base.replace("1,n,a", "1,n,b"),
        base.replace("1,n,a", "1,n,"),
        base.replace("1,n,a", "1.5,n,a"),
        "x,note,label\n2,n,b\n1,n,a\n3,n,a\n",
    ]
    assert len({digest(text) for text in variants}) == len(variants)
    assert digest(base) == digest(base.replace(",n,", ",another note,"))


def test_no_id_of_ours_looks_like_a_number():
    ids = [make_sample_id(f"content {number}", "cat") for number in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert not [one for one in ids if re.fullmatch(r"[0-9.]+([ed][0-9]+)?", one)]
    assert [one for one in ids if re.match("[g-p]", one)]
    seen = OccurrenceCounter()
    seen.see([*ids, ids[0]])
    assert seen.count_earlier().tolist() == [0] * len(ids) + [1]


def test_the_lines_of_repeated_ids_are_found_in_one_pass_over_the_file(tmp_path, monkeypatch):
    openings: list[str] = []
    open_file = Part.open
    monkeypatch.setattr(Part, "open", lambda part: openings.append(part.shown) or open_file(part))
    counts, reasons = [], []
    for repeated in (2, 30):
        ids = [f"k{row}" for row in range(400)]
        ids[200 : 200 + repeated] = ids[:repeated]
        rows = [f"{key},{row % 7 + 0.5},{'cat' if row % 2 else 'dog'}" for row, key in enumerate(ids)]
        path = tmp_path / f"r{repeated}.csv"
        path.write_text("\n".join(["key,x,label", "", *rows]))
        openings.clear()
        data = ingest(Source(uri=str(path), id="key"), tmp_path / f"run{repeated}")
        counts.append(len(openings))
        reasons.append(pq.read_table(data.unreadable)["reason"].to_pylist())
    assert counts[0] == counts[1]
    assert reasons[1] == [f"id 'k{n}' in column 'key' is also the id of line {n + 3}" for n in range(30)]
