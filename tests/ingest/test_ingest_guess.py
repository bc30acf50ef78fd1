"""Where nobody names the label or the id, one obvious column is taken and said; where none is obvious, nothing is taken."""

import shlex

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Dataset, Source

ROWS = 60


def table(**columns: object) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame({"size": generator.normal(size=ROWS), "age": generator.normal(size=ROWS), **columns})


def read(frame: pd.DataFrame, folder, name: str = "pets.csv", **named: object) -> Dataset:
    if name.endswith(".csv"):
        frame.to_csv(folder / name, index=False)
    else:
        frame.to_parquet(folder / name)
    return ingest(Source(uri=str(folder / name), **named), folder / "run")


def ids_of(dataset: Dataset) -> list[str]:
    return pq.read_table(dataset.path)["sample_id"].to_pylist()


CLASSES = ["01", "2"] * (ROWS // 2)


@pytest.mark.parametrize("name", ["target", "Class", "labels", "y", "Species", " LABEL "])
def test_one_obvious_label_is_taken_as_it_is_written_and_said(name, tmp_path):
    dataset = read(table(**{name: CLASSES}), tmp_path)
    assert dataset.classes == ("01", "2")
    name = name.strip()  # blanks around a name in a header belong to no name
    assert dataset.label_column == name
    assert f"column '{name}' is the label; --label names another" in dataset.notes
    assert dataset.feature_names == ("size", "age")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"target": CLASSES, "class": CLASSES}, "'target', 'class' could each be it"),
        ({"target": [f"t{n}" for n in range(ROWS)]}, "no label column 'label'"),
        ({"y": np.linspace(0, 1, ROWS)}, "no label column 'label'"),
        ({"kind": CLASSES}, "no label column 'label'.* such as --label kind"),
        ({"kind": CLASSES, "weight": np.linspace(0, 1, ROWS)}, "such as --label kind$"),
        (
            {"tweet_sentiment": CLASSES, "zone": ["a", "b"] * (ROWS // 2)},
            "such as --label tweet_sentiment or",
        ),
        ({"kind": CLASSES, "multi_label": [False] * ROWS}, "such as --label kind$"),
        ({"class": CLASSES, "survived": CLASSES}, "'class', 'survived' could each be it"),
        ({"x": np.arange(ROWS), "y": CLASSES}, "no label column 'label'"),
    ],
)
def test_without_one_obvious_label_the_user_is_asked(columns, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(table(**columns), tmp_path)


@pytest.mark.parametrize(
    ("first", "last", "label"), [("a", "1.5", "c0"), ("x{row}", "b", "c2"), ("a", "b", "c2 or --label c0")]
)
def test_without_a_header_the_column_of_classes_is_proposed(first, last, label, tmp_path):
    rows = [
        [first, second, last] if row % 2 else [f"{first}2", second, f"{last}{row if last == '1.5' else ''}2"]
        for row, second in enumerate(np.linspace(0, 1, ROWS))
    ]
    lines = "\n".join(",".join(map(str, row)).format(row=place) for place, row in enumerate(rows))
    (tmp_path / "t.data").write_text(lines + "\n")
    with pytest.raises(InputError, match=f"it has no header, .* such as --label {label}, or write a header"):
        ingest(Source(uri=str(tmp_path / "t.data")), tmp_path / "run")


def test_a_better_name_wins_over_one_that_may_mean_something_else(tmp_path):
    frame = table(target=CLASSES, category=["a", "b", "c"] * (ROWS // 3))
    assert read(frame, tmp_path).label_column == "target"
    assert read(frame.assign(label=frame["category"]), tmp_path).label_column == "label"


@pytest.mark.parametrize("name", ["pets.csv", "pets.parquet"])
def test_ids_that_are_unique_identify_the_samples(name, tmp_path):
    numbers = [f"{n:03d}" for n in range(ROWS)]
    dataset = read(table(id=numbers, label=CLASSES), tmp_path, name)
    assert ids_of(dataset) == numbers
    assert "column 'id' identifies the samples; --id names another" in dataset.notes
    both = read(table(id=numbers, sample_id=numbers[::-1], label=CLASSES), tmp_path, name)
    assert ids_of(both) == numbers[::-1]


@pytest.mark.parametrize("ids", [["1"] * 2 + [str(n) for n in range(2, ROWS)], [None, *range(1, ROWS)]])
def test_ids_that_repeat_or_are_missing_identify_nothing_and_that_is_said(ids, tmp_path):
    dataset = read(table(id=ids, label=CLASSES), tmp_path)
    assert dataset.notes == (
        "column 'id' does not identify the samples: 1.7% of the rows have no id of their own there",
    )
    assert all(len(found) == 16 for found in ids_of(dataset))


def test_one_repeated_id_of_many_is_a_mistake_of_its_row(tmp_path):
    frame = pd.concat([table(id=[f"{night}-{n}" for n in range(ROWS)], label=CLASSES) for night in range(3)])
    frame.iloc[-1, 2] = "0-0"
    dataset = read(frame, tmp_path)
    assert ids_of(dataset)[:-1] == frame["id"].tolist()[:-1]
    assert pq.read_table(dataset.unreadable)["reason"].to_pylist() == [
        "id '0-0' in column 'id' is also the id of line 2"
    ]


@pytest.mark.parametrize(
    ("column", "is_said"),
    [
        ({"ticket": [f"T-{n:04d}" for n in range(ROWS)]}, True),
        ({"PassengerId": range(1, ROWS + 1)}, True),
        ({"Patient No.": range(1001, ROWS + 1001)}, True),
        ({"case_uuid": [f"{n * 7919:08x}" for n in range(ROWS)]}, True),
        ({"Unnamed: 0": range(ROWS)}, False),  # the numbers of all rows change where one is deleted
        ({"name": [f"Mr {n}" for n in range(ROWS)]}, False),
        ({"ticket": [f"T-{n // 2:04d}" for n in range(ROWS)]}, False),
        ({"price": [f"{n}.25" for n in range(ROWS)]}, False),
    ],
)
def test_a_column_that_looks_like_an_id_is_not_taken_but_said(column, is_said, tmp_path):
    notes = read(table(**column, label=CLASSES), tmp_path).notes
    name = next(iter(column))
    option = f"--id {shlex.quote(name)}"
    said = f"column '{name}' looks like an id; {option} keeps decisions on rows whose content changes"
    assert (said in notes) == is_said
    assert is_said or not [note for note in notes if "looks like an id" in note]
    assert not is_said or said not in read(table(**column, label=CLASSES), tmp_path, id=name).notes


def test_a_column_with_another_meaning_is_no_id(tmp_path):
    dataset = read(table(id=range(ROWS), label=CLASSES), tmp_path, features=("id", "size"))
    assert dataset.feature_names == ("id", "size")
    assert dataset.notes == ()
