"""Vectors that are written as text, numpy's files, and probabilities in the layouts that people save."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source
from tasks.validate import validate

ROWS = 60
VECTORS = np.random.default_rng(0).normal(size=(ROWS, 12)).astype(np.float32)
LABELS = np.array(["cat", "dog"])[np.arange(ROWS) % 2]


def ingested(tmp_path, columns, name="v.csv", **named):
    path = tmp_path / name
    if name.endswith("csv"):
        pd.DataFrame(columns).to_csv(path, index=False)
    else:
        pd.DataFrame(columns).to_parquet(path)
    dataset = ingest(Source(uri=str(path), **named), tmp_path / "run")
    return dataset, np.array(pq.read_table(dataset.path)["features"].to_pylist(), np.float32)


def refused(tmp_path, columns, **named) -> str:
    with pytest.raises(InputError) as caught:
        ingested(tmp_path, columns, **named)
    return str(caught.value)


WRITTEN = {
    "list": lambda v: str(v.tolist()),
    "numpy": str,
    "numpy repr": repr,
    "numpy 2 scalars": lambda v: "[" + ", ".join(f"np.float32({x})" for x in v) + "]",
    "torch": lambda v: "tensor([" + ", ".join(map(str, v)) + "], device='cuda:0')",
    "blanks": lambda v: " ".join(map(str, v)),
    "semicolons": lambda v: ";".join(map(str, v)),
    "decimal commas": lambda v: ";".join(map(str, v)).replace(".", ","),
    "pgvector": lambda v: "[" + ",".join(map(str, v)) + "]",
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("named", [{}, {"embedding": "v"}])
def test_numbers_written_as_text_are_a_vector(how, named, tmp_path):
    columns = {"v": [WRITTEN[how](row) for row in VECTORS], "label": LABELS}
    dataset, features = ingested(tmp_path, columns, **named)
    assert (dataset.payload, dataset.feature_shape) == ("embedding", (12,))
    np.testing.assert_allclose(features, VECTORS, atol=1e-5)


def test_vectors_are_no_text_and_cut_ones_are_refused(tmp_path):
    columns = {"v": [str(row) for row in VECTORS], "label": LABELS}
    assert "--embedding v" in refused(tmp_path, columns, text="v")
    long = {"v": [str(np.arange(1_500.0) + row) for row in range(ROWS)], "label": LABELS}
    for named in ({}, {"embedding": "v"}):
        assert "cut short with '...'" in refused(tmp_path, long, **named)
    ragged = {"v": [str(list(range(2 + row))) for row in range(ROWS)], "label": LABELS}
    assert "60 different lengths" in refused(tmp_path, ragged, embedding="v")


@pytest.mark.parametrize(
    "value", ["555 123 4567", "1,234,567.89", "2024-01-01 10:00", "52.5, 13.4", "5 of 5... great"]
)
def test_other_text_with_numbers_in_it_is_no_vector(value, tmp_path):
    dataset, _ = ingested(tmp_path, {"x": np.arange(ROWS), "note": [value] * ROWS, "label": LABELS})
    assert dataset.payload == "tabular"
    assert "vectors" not in dataset.left_out.get("note", "")


def test_vectors_that_cannot_be_read_are_set_aside_with_their_reasons(tmp_path):
    texts = [str(row.tolist()) for row in VECTORS]
    texts[0], texts[3], texts[5], texts[7] = "[1, 2]", "not embedded", "", "[0.1 0.2 ... 0.3]"
    dataset, _ = ingested(tmp_path, {"v": texts, "label": LABELS}, embedding="v")
    validation = validate(dataset, tmp_path / "run", folds=2)
    assert validation.reasons == {"a value does not fit its column": 4}
    assert pq.read_table(validation.quarantine)["reason"].to_pylist() == [
        "column 'v' has a vector of length 2, most have 12",
        "column 'v': 'not embedded' is no vector",
        "column 'v' has no vector",
        "column 'v': the vector '[0.1 0.2 ... 0.3]…' is cut short with '...'",
    ]


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"embedding": VECTORS, "label": LABELS}, {}),
        ({"X": VECTORS, "y": np.arange(ROWS) % 2}, {"label": "y"}),
        ({"arr_0": np.asfortranarray(VECTORS), "arr_1": (np.arange(ROWS) % 2)[:, None]}, {"label": "arr_1"}),
        (
            {"x": VECTORS.reshape(ROWS, 3, 4), "y": LABELS, "x_test": VECTORS[:9], "y_test": LABELS[:9]},
            {"label": "y"},
        ),
    ],
)
def test_arrays_that_numpy_saved_together_are_columns(arrays, named, tmp_path):
    np.savez_compressed(tmp_path / "v.npz", **arrays)
    dataset = ingest(Source(uri=str(tmp_path / "v.npz"), **named), tmp_path / "run")
    assert (dataset.payload, dataset.feature_shape, dataset.rows) == ("embedding", (12,), ROWS)
    table = pq.read_table(dataset.path)
    np.testing.assert_array_equal(np.array(table["features"].to_pylist(), np.float32), VECTORS)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8), (8, 8)), ((8, 8, 3), (8, 8, 3)), ((3, 8, 8), (8, 8, 3)), ((8, 8, 1), (8, 8))],
)
def test_arrays_of_bytes_in_the_shape_of_images_are_images(shape, expected, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, *shape), dtype=np.uint8)
    np.savez(tmp_path / "m.npz", images=pixels, labels=LABELS, names=np.array(["a", "b"]))
    dataset = ingest(Source(uri=str(tmp_path / "m.npz")), tmp_path / "run")
    assert (dataset.payload, dataset.feature_shape, dataset.rows) == ("image", expected, ROWS)
    assert f"arrays that have not {ROWS} rows are not read: 'names'" in dataset.notes
    asked = ingest(Source(uri=str(tmp_path / "m.npz"), embedding="images"), tmp_path / "asked")
    assert (asked.payload, asked.feature_shape) == ("embedding", (int(np.prod(shape)),))


def test_arrays_without_labels_or_of_python_objects_are_one_line(tmp_path):
    def said(path, **named) -> str:
        with pytest.raises(InputError) as caught:
            ingest(Source(uri=str(path), **named), tmp_path / "run")
        return str(caught.value)

    np.save(tmp_path / "x.npy", VECTORS)
    assert "np.savez" in said(tmp_path / "x.npy")
    np.savez(tmp_path / "o.npz", X=VECTORS, y=LABELS.astype(object))
    assert "array 'y' holds Python objects" in said(tmp_path / "o.npz", label="y")
    whole = (tmp_path / "o.npz").read_bytes()
    (tmp_path / "t.npz").write_bytes(whole[:-40])
    assert "damaged or truncated .npz" in said(tmp_path / "t.npz", label="y")
    splits = {"x_train": VECTORS, "y_train": LABELS, "x_test": VECTORS[:9], "y_test": LABELS[:9]}
    np.savez(tmp_path / "s.npz", **splits)
    assert "--label" in said(tmp_path / "s.npz")


# Probabilities


GIVEN = np.arange(ROWS) % 3
SHARES = np.full((ROWS, 3), 0.1)
SHARES[np.arange(ROWS), GIVEN] = 0.8
NAMES = np.array(["dog", "cat", "New York"])


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (SHARES, ""),
        (np.log(SHARES), "logarithms"),
        (np.log(SHARES) + 2, "softmax"),
        (100 * SHARES, "divided by the sum"),
    ],
)
def test_probabilities_are_read_on_the_scale_that_they_have(values, note, tmp_path):
    columns = {"p": [str(row.tolist()) for row in values], "label": GIVEN}
    dataset, features = ingested(tmp_path, columns, pred_probs=("p",))
    np.testing.assert_allclose(np.exp(features), SHARES, atol=1e-5)
    assert note in " ".join(dataset.notes)
    assert bool(note) == bool(dataset.notes)


@pytest.mark.parametrize("name", ["{}", "prob_{}", "P({})", "score.{}.mean"])
def test_columns_named_after_classes_are_theirs_in_any_order(name, tmp_path):
    columns = {name.format(label).upper(): SHARES[:, place] for place, label in enumerate(NAMES)}
    named = tuple(reversed(columns))
    dataset, _ = ingested(tmp_path, columns | {"label": NAMES[GIVEN]}, pred_probs=named)
    assert dataset.feature_names == named
    assert dataset.notes == ()


def test_columns_without_names_of_classes_are_told_by_the_labels_and_that_is_said(tmp_path):
    columns = {f"p{place}": SHARES[:, place] for place in range(3)}
    named = ("p0", "p1", "p2")
    dataset, _ = ingested(tmp_path, columns | {"label": NAMES[GIVEN]}, pred_probs=named)
    assert "p0 = 'dog', p1 = 'cat', p2 = 'New York'" in dataset.notes[0]
    assert "names 2 columns, and there are 3 classes" in refused(
        tmp_path, columns | {"label": NAMES[GIVEN]}, pred_probs=("p0", "p1")
    )
    lists = {"p": [str(row[:2].tolist()) for row in SHARES], "label": NAMES[GIVEN]}
    assert "have 2 numbers, and there are 3 classes" in refused(tmp_path, lists, pred_probs=("p",))


@pytest.mark.parametrize(
    ("column", "classes", "positive"),
    [
        ("score", ["neg", "pos"], "pos"),
        ("p_ham", ["spam", "ham"], "ham"),
        ("score", ["True", "False"], "False"),
    ],
)
def test_one_column_is_the_probability_of_one_of_two_classes_and_which_is_said(
    column, classes, positive, tmp_path
):
    labels = np.array(classes)[np.arange(ROWS) % 2]
    values = np.where(np.arange(ROWS) % 2, 0.9, 0.2)
    dataset, features = ingested(tmp_path, {column: values, "label": labels}, pred_probs=(column,))
    assert f"probability of '{positive}'" in dataset.notes[0]
    place = sorted(classes).index(positive)
    np.testing.assert_allclose(np.exp(features)[:, place], values, atol=1e-6)
    three = {column: values, "label": NAMES[GIVEN]}
    assert "one number in each row, and there are 3 classes" in refused(tmp_path, three, pred_probs=(column,))


def test_rows_that_hold_no_probabilities_are_set_aside(tmp_path):
    lists = [row.tolist() for row in SHARES]
    lists[2], lists[4], lists[6], lists[8] = [0.5, 0.5], [0.1, 0.1, 0.1], None, [2.5, -1, -0.5]
    dataset, _ = ingested(tmp_path, {"p": lists, "label": GIVEN}, "p.parquet", pred_probs=("p",))
    validation = validate(dataset, tmp_path / "run", folds=2)
    assert pq.read_table(validation.quarantine)["reason"].to_pylist() == [
        "column 'p' has a vector of length 2, most have 3",
        "--pred-probs 'p' sums to 0.3, not to 1",
        "column 'p' has no vector",
        "--pred-probs 'p' holds 2.5, which is no probability",
    ]


@pytest.mark.parametrize(
    "pattern", ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d %H:%M", "%m/%d/%Y %I:%M %p", "%d-%b-%y", "%m/%d/%y"]
)
def test_a_bad_date_among_dates_is_set_aside_with_its_reason(pattern, tmp_path):
    days = pd.date_range("2024-01-05", periods=ROWS).strftime(pattern).tolist()
    days[0], days[9], days[20] = "soon", days[9].replace("14", "34").replace("24", "24"), ""
    dataset, features = ingested(tmp_path, {"x": np.arange(ROWS), "day": days, "label": LABELS})
    assert [column.kind for column in dataset.columns] == ["number", "date"]
    assert np.isnan(features[:, 1]).nonzero()[0].tolist() == [0, 9, 20]
    validation = validate(dataset, tmp_path / "run", folds=2)
    reasons = pq.read_table(validation.quarantine)["reason"].to_pylist()
    assert reasons == [f"column 'day': '{days[row]}' is no date as the others are" for row in (0, 9)]
