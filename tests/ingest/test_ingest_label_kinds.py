"""What is no column of classes is refused with what to do; odd names of classes are left alone."""

import numpy as np
import pandas as pd
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source

ROWS = 300
DRAW = np.random.default_rng(0)
GENRES = ["action", "comedy", "drama", "horror", "war"]
SETS = [sorted(DRAW.choice(GENRES, DRAW.integers(1, 4), replace=False)) for _ in range(ROWS)]


def ingested(tmp_path, labels, **named):
    pd.DataFrame({"x": np.arange(len(labels)) / 7, "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    return ingest(Source(uri=str(tmp_path / "t.csv"), **named), tmp_path / "run")


def check_quantity(tmp_path, labels):
    with pytest.raises(
        InputError, match=r"column 'label' looks like a quantity \(\d+ .*--label label .*bins"
    ):
        ingested(tmp_path, labels)
    assert "looks like a quantity" in ingested(tmp_path, labels, label="label").notes[0]


@pytest.mark.parametrize(
    "write",
    ["|".join, ", ".join, ";".join, "/".join, "#".join, str, lambda row: "<" + "><".join(row) + ">"],
    ids=["bars", "commas", "semicolons", "slashes", "doccano", "lists", "tags"],
)
def test_several_labels_in_one_value_are_refused(write, tmp_path):
    with pytest.raises(InputError, match=r"several labels in one value .* a column of yes and no"):
        ingested(tmp_path, [write(list(map(str, row))) for row in SETS])


def test_lists_as_python_writes_them_are_refused_however_few_they_are(tmp_path):
    with pytest.raises(InputError, match=r"several labels in one value \('\('a', 'b'\)'\)"):
        ingested(tmp_path, ["('a',)", "('a', 'b')"] * 50)


@pytest.mark.parametrize(
    "classes",
    [
        ["R&B/Soul", "Hip-Hop/Rap", "Country/Folk", "Rock", "Pop"],
        ["Bedroom, kitchen", "Hall, stairs", "Garden, pool", "Kitchen", "Garden"],
        ["animal", "animal/cat", "animal/dog", "plant", "plant/tree", "plant/moss"],
        ["left, mild", "left, severe", "right, mild", "right, severe"],
        ["Doe, Jane", "Doe, John", "Roe, Jane", "Roe, John"],
        ["1,5", "2,0", "2,5", "3,0", "3,5"],
        ["(1.0, 2.5]", "(2.5, 4.0]", "(4.0, 9.0]"],
        ["C", "C++", "C/C++", "yes/no", "A+"],
    ],
)
def test_classes_with_signs_in_their_names_are_classes(classes, tmp_path):
    assert set(ingested(tmp_path, [classes[row % len(classes)] for row in range(ROWS)]).classes) == set(
        classes
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (DRAW.integers(100_000, 900_000, ROWS), "different numbers in 300 rows: measured quantities or ids"),
        ([f"review {row}" for row in range(ROWS)], "300 different values in 300 rows: ids or free text"),
    ],
)
def test_a_value_of_its_own_in_each_row_is_no_class(labels, said, tmp_path):
    with pytest.raises(InputError, match=said):
        ingested(tmp_path, labels)


@pytest.mark.parametrize(
    "labels",
    [
        list(range(1_000, 1_060)) * 5,
        DRAW.integers(0, 10, ROWS),
        DRAW.integers(1, 6, ROWS),
        DRAW.integers(3, 10, ROWS),
        DRAW.integers(0, 2, ROWS),
        DRAW.integers(-1, 40, 2_000),
        DRAW.permutation(np.repeat(np.arange(-1, 40), np.arange(60, 19, -1))),
        DRAW.choice([250, 401, 410, 427, 428, 486, 491, 518, 571, 584, 780, 786, *range(800, 860, 5)], 900),
        [f"{code:03d}" for code in DRAW.integers(10, 50, 900)],
    ],
    ids=["balanced", "digits", "stars", "quality", "bits", "clusters", "by size", "diagnoses", "padded"],
)
def test_class_numbers_are_classes(labels, tmp_path):
    found = ingested(tmp_path, labels)
    assert len(found.classes) == len(set(labels))
    assert not any("quantity" in note for note in found.notes)


def test_a_quantity_is_a_label_only_where_a_person_named_it(tmp_path):
    check_quantity(tmp_path, DRAW.normal(40, 6, 2_000).astype(int))
    pd.DataFrame({"x": np.arange(300) / 7, "y": DRAW.normal(40, 6, 300).astype(int)}).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(InputError, match=r"column 'y' looks like a quantity .* --label y takes"):
        ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")


@pytest.mark.parametrize(
    "labels",
    [
        DRAW.integers(1990, 2024, ROWS),
        [5 * int(price // 5) for price in DRAW.normal(100, 30, 4 * ROWS)],
        [f"{share} %" for share in DRAW.integers(0, 60, ROWS)],
        [f"${price}" for price in DRAW.integers(0, 60, ROWS)],
    ],
    ids=["years", "steps of five", "percent", "prices"],
)
def test_numbers_that_lie_close_together_are_a_quantity_however_they_are_written(labels, tmp_path):
    check_quantity(tmp_path, labels)


def test_numbers_with_decimal_commas_are_measured_quantities(tmp_path):
    labels = [f"{tenths / 10:.1f}".replace(".", ",") for tenths in DRAW.integers(0, 60, 3 * ROWS)]
    with pytest.raises(InputError, match="60 different measured quantities"):
        ingested(tmp_path, labels)


@pytest.mark.parametrize("label", ['"{""ImportId"":""QID2""}"', "lab"])
def test_the_header_rows_of_a_survey_export_are_named(label, tmp_path):
    answers = "\n".join(f"{row % 7},{'ab'[row % 2]}" for row in range(40))
    ids = '"{""ImportId"":""QID1""}",' + label
    (tmp_path / "q.csv").write_text(f"Q1,label\nHow many?,Which?\n{ids}\n{answers}\n")
    with pytest.raises(InputError, match="a Qualtrics export: line 2 and line 3 hold no answers"):
        ingest(Source(uri=str(tmp_path / "q.csv")), tmp_path / "run")


def test_spellings_of_one_class_are_one_class_in_labels_and_truth(tmp_path):
    labels = ["Cat", "cat ", "CAT", "dog", "d\u00f3g", "do\u0301g", "Cat"] * 20
    frame = pd.DataFrame(
        {"x": np.arange(140) / 7, "label": labels, "true": [name.upper() for name in labels]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = ingest(Source(uri=str(tmp_path / "t.csv"), truth="true"), tmp_path / "run")
    assert found.classes == ("Cat", "dog", "d\u00f3g")
    assert "'CAT' (20) and 'cat ' (20) are read as 'Cat' (40)" in found.notes
    true = pd.read_parquet(found.truth)["true_label"]
    assert true.tolist() == pd.read_parquet(found.path)["label"].tolist()


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (["cat", "cat", "dog", "cat\u200b", "\ufeffdog", "dog"], ("cat", "dog"), r"'cat\u200b' (20)"),
        (["new york", "new york", "new_york", "New-York", "rome"], ("new york", "rome"), "'new_york' (20)"),
        (["1", "0", "1", "0", "True", "False"], ("0", "1"), "'True' (20) is read as '1' (40)"),
        (["yes", "no", "no"], ("no", "yes"), ""),
        (["x1", "x 1", "x -1"], ("x -1", "x 1", "x1"), ""),
    ],
    ids=["nobody sees", "blanks", "truths", "two truths", "signs"],
)
def test_classes_that_people_do_not_tell_apart_are_one_class(labels, classes, said, tmp_path):
    found = ingested(tmp_path, labels * 20)
    assert found.classes == classes
    assert said in "".join(found.notes)
    assert bool(said) == bool(found.notes)


def test_true_labels_are_called_as_the_given_ones(tmp_path):
    labels = ["c0", "c1"] * 60
    frame = pd.DataFrame({"x": np.arange(120) / 7, "label": labels, "true": ["C0", "C1"] * 60})
    frame.loc[5, "true"] = "zebra"

    def read():
        frame.to_csv(tmp_path / "t.csv", index=False)
        return ingest(Source(uri=str(tmp_path / "t.csv"), truth="true"), tmp_path / "run")

    found = read()
    assert pd.read_parquet(found.truth)["true_label"].tolist() == [*labels[:5], "zebra", *labels[6:]]
    assert found.notes == ("column 'true' names a true label that no row is given, in 1 row: 'zebra'",)
    frame["true"] = [0, 1] * 60
    with pytest.raises(InputError, match=r"column 'true' holds '0', '1', and the classes are 'c0', 'c1'"):
        read()


def test_a_full_stop_behind_a_class_makes_no_other_class(tmp_path):
    found = ingested(tmp_path, ["<=50K", ">50K", ">50K", "<=50K."] * 20)
    assert found.classes == ("<=50K", ">50K")
    assert "'<=50K.' (20) is read as '<=50K' (20)" in found.notes


@pytest.mark.parametrize("form", ["{:.18e}", "{:.1f}", "{}"])
def test_class_numbers_are_written_short_whatever_program_wrote_them(form, tmp_path):
    assert ingested(tmp_path, [form.format(row % 12) for row in range(ROWS)]).classes == tuple(
        map(str, range(12))
    )


@pytest.mark.parametrize(
    ("labels", "mark"),
    [(["-1", "0", "1", "2"], "-1"), (["yes", "no", "unknown"], "unknown"), ([-1, 0, 1], None)],
)
def test_a_class_that_may_stand_for_no_label_is_pointed_out(labels, mark, tmp_path):
    found = ingested(tmp_path, labels * 40)
    assert found.notes == (
        (f"'{mark}' (40) is a class; --missing {mark} makes it a missing label",) if mark else ()
    )


def test_letters_alone_keep_their_capitals(tmp_path):
    assert ingested(tmp_path, ["a", "A", "b", "B"] * 20).classes == ("A", "B", "a", "b")


def test_vectors_are_no_classes(tmp_path):
    rows = [[round(share, 1), round(1 - share, 1)] for share in DRAW.random(ROWS)]
    with pytest.raises(InputError, match=r"holds vectors such as .*argmax"):
        ingested(tmp_path, list(map(str, rows)))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"MEL": [1, 0, 0] * 20, "NV": [0, 1, 0] * 20, "BCC": [0, 0, 1] * 20}, r"idxmax\(axis=1\)"),
        ({"p_cat": [0.2, 0.7] * 30, "p_dog": [0.8, 0.3] * 30}, "sum to 1 in each row"),
        ({"class_a": [0, 1] * 30, "class_b": [1, 0] * 30}, "sum to 1 in each row"),
        (
            {"is_a": ["Yes", "No"] * 30, "is_b": ["No", "Yes"] * 30},
            r"say 'Yes' once in each row.*eq\('Yes'\)",
        ),
        ({"cat": ["x", ""] * 30, "dog": ["", "x"] * 30}, "say 'x' once in each row"),
        ({"ann_1": ["a", "b"] * 30, "ann_2": ["b", "a"] * 30}, "--raters ann_1,ann_2"),
        (
            {"label_ann": ["a", "b"] * 30, "label_bob": ["b", "", "a", ""] * 15},
            "--raters label_ann,label_bob",
        ),
    ],
)
def test_a_label_in_several_columns_says_what_to_do(columns, said, tmp_path):
    pd.DataFrame({"age": np.arange(60) % 37, **columns}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=said):
        ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")


def test_a_class_in_two_spellings_alone_names_both(tmp_path):
    with pytest.raises(InputError, match=r"one class \('CO'\): 'Co' \(40\) is read as 'CO' \(80\)"):
        ingested(tmp_path, ["CO", "CO", "Co"] * 40)
