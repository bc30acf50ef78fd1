"""Which columns of a table are learned from without being named, and what is said about the others."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source

ROWS = 120


def of(tmp_path, values, **named):
    """Return what one column beside a number and the label is taken for, and the reason where for nothing."""
    path = tmp_path / "t.parquet"
    label = ["a", "a", "b", "b"] * (ROWS // 4)  # no column below goes with it
    pq.write_table(pa.table({"x": np.arange(ROWS), "c": values, "label": label}), path)
    dataset = ingest(Source(uri=str(path), **named), tmp_path / "run")
    kinds = {column.name: column.kind for column in dataset.columns}
    return kinds.get("c"), dataset.left_out.get("c", ""), dataset


def cycled(*values):
    return [values[n % len(values)] for n in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (cycled(*pa.array([True, False, None]).to_pylist()), "boolean"),
        (cycled(1.5, None), "number"),
        (cycled("red", "green", ""), "category"),
        (cycled("1", "2", "none"), "category"),
        (cycled(dt.date(2024, 1, 1), dt.date(2024, 2, 1)), "date"),
        (
            pa.array(cycled(19_000.5, None, 19_001), pa.float64())
            .cast(pa.int64(), safe=False)
            .cast(pa.timestamp("s")),
            "date",
        ),
        (cycled("2024-01-01", "2024-02-01"), "date"),
        (cycled("2024-01-01T05:00:00Z", "2024-02-01T05:00:00+02:00"), "date"),
        (cycled("13.02.2024", "01.02.2024", ""), "date"),
        (cycled("02/13/2024 05:10", "01/02/2024 17:00"), "date"),
        ([f"This is the long and winding story of person number {n}" for n in range(ROWS)], "text"),
    ],
)
def test_a_column_is_taken_for_what_all_its_values_are(values, kind, tmp_path):
    assert of(tmp_path, values)[:2] == (kind, "")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"person {n}" for n in range(ROWS)], "nearly every value is different"),
        (cycled("same"), "has one value only"),
        (pa.nulls(ROWS), "has no value at all"),
        (["rare", "rarer"] * 2 + [None] * (ROWS - 4), "no two values occur in 5 rows each"),
        ([[1, 2]] * ROWS, None),
        ([[{"a": 1}, {"a": 2}]] * ROWS, "holds list<element: struct<a: int64>>"),
        (
            [str(n) for n in range(ROWS - 4)] + ["?"] * 4,
            "nearly every value is a different whole number, written as text",
        ),
        ([str(n // 2) for n in range(2, 2 * 59)] + ["?"] * 4, None),
    ],
)
def test_what_says_nothing_about_other_rows_is_left_out_with_the_reason(values, why, tmp_path):
    kind, reason, _ = of(tmp_path, values)
    if why is not None:
        assert (kind, reason) == (None, why)


def test_a_column_that_is_left_out_is_still_shown(tmp_path):
    _, _, dataset = of(tmp_path, [f"person {n}" for n in range(ROWS)])
    assert "c" in dataset.display_columns


def test_a_named_column_without_categories_is_refused_in_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"column 'c': nearly every value is different; leave it out of --features"
    ):
        of(tmp_path, [f"person {n}" for n in range(ROWS)], features=("x", "c"))


def test_many_categories_are_capped_at_the_most_frequent(tmp_path):
    rows = [f"v{n}" for n in range(150) for _ in range(10 if n < 100 else 5)]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"c": rows, "label": ["a", "b"] * (len(rows) // 2)}), path)
    (column,) = ingest(Source(uri=str(path)), tmp_path / "run").columns
    assert len(column.categories) == 100
    assert set(column.categories) == {f"v{n}" for n in range(100)}
    codes = np.array(pq.read_table(tmp_path / "run" / "dataset.parquet")["features"].to_pylist()).ravel()
    assert (codes[-5:] == 100).all()


def test_identity_depends_on_values_not_on_which_other_categories_there_are(tmp_path):
    def hashes(name, values):
        path = tmp_path / f"{name}.csv"
        path.write_text("x,c,label\n" + "".join(f"{n},{v},{'aabb'[n % 4]}\n" for n, v in enumerate(values)))
        dataset = ingest(Source(uri=str(path)), tmp_path / name)
        return pq.read_table(dataset.path)["content_hash"].to_pylist()

    few = hashes("few", cycled("red", "green"))
    more = hashes("more", [*cycled("red", "green"), *["azure"] * 100])
    assert more[:ROWS] == few
    assert len(set(few)) == ROWS


def test_images_and_vectors_stand_before_categories_and_numbers_before_both(tmp_path):
    label = ["a", "b"] * (ROWS // 2)
    split = cycled("train", "test")
    vector = [[float(n)] for n in range(ROWS)]
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"split": split, "v": vector, "label": label}), path)
    assert ingest(Source(uri=str(path)), tmp_path / "a").payload == "embedding"


def test_the_only_prose_is_the_text_where_there_is_no_number(tmp_path):
    path = tmp_path / "p.csv"
    prose = [f"the delivery of my order number {n} took far too long this time" for n in range(ROWS)]
    path.write_text("review,label\n" + "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(prose)))
    dataset = ingest(Source(uri=str(path)), tmp_path / "run")
    assert (dataset.payload, dataset.display_columns) == ("text", ())
    assert pq.read_table(dataset.path)["text"].to_pylist() == prose


def test_a_missing_number_in_a_table_is_kept_and_an_infinite_one_set_aside(tmp_path):
    from tasks.validate import validate

    values = [float(n) for n in range(ROWS)]
    values[3], values[7] = float("nan"), float("inf")
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table({"x": values, "y": np.arange(ROWS), "label": ["a", "b"] * (ROWS // 2)}), path)
    kept = validate(ingest(Source(uri=str(path)), tmp_path / "run"), tmp_path / "run", folds=5)
    assert kept.quarantined == 1
    assert kept.dataset.rows == ROWS - 1
