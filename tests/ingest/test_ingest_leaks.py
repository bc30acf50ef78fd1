"""Columns that give the label away are left out before anything is learned; honest measurements never are."""

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source

ROWS = 300
RNG = np.random.default_rng(0)
TRUE = np.sort(RNG.integers(0, 3, ROWS))
WRONG = RNG.choice(ROWS, 18, replace=False)
GIVEN = TRUE.copy()
GIVEN[WRONG] = (GIVEN[WRONG] + 1) % 3
NAMES = np.array(["cat", "dog", "elk"])
VISITS = np.arange(ROWS) // 5
OF_PATIENT = RNG.integers(0, 3, ROWS // 5)
PEAK = RNG.random(ROWS).round(3) / 4
HEIGHT = RNG.normal(size=ROWS)


def read(tmp_path, columns, label=NAMES[GIVEN], order=None, **named):
    frame = pd.DataFrame({"height": HEIGHT, **columns, "label": label})
    (frame if order is None else frame.iloc[order]).to_csv(tmp_path / "t.csv", index=False)
    return ingest(Source(uri=str(tmp_path / "t.csv"), **named), tmp_path / "run")


LEAKS = {
    "a label as a number": ({"label_id": GIVEN}, "repeats the label in 100.0% of the rows"),
    "a label as a code without meaning": ({"q": NAMES[::-1][GIVEN]}, "repeats the label"),
    "the label one-hot": (pd.get_dummies(NAMES[GIVEN]).to_dict("list"), "together they repeat the label"),
    "the label one-hot but for one": (
        pd.get_dummies(NAMES[GIVEN], drop_first=True).astype(int).to_dict("list"),
        "together they repeat the label",
    ),
    "a second person's label": ({"other": NAMES[TRUE]}, "agrees in 94.0% of the rows: --raters label,other"),
    "a running number of sorted rows": ({"place": np.arange(ROWS) + 1000}, "a running number"),
    "a time of sorted rows": (
        {"seen_at": 1.6e9 + np.arange(ROWS) * 77.5},
        "of rows that were collected class by",
    ),
    "a coarser label": ({"super_label": np.array(["pet", "pet", "wild"])[GIVEN]}, "is a coarser label"),
    "votes for each class": (
        {f"v{c}": (c == GIVEN) * 3 + RNG.integers(0, 3, ROWS) for c in range(3)},
        "votes or shares of the classes, of which the largest names the label in 100.0% of the rows",
    ),
    "shares of the classes": (
        {f"p{c}": np.where(c == GIVEN, 0.5 + PEAK, (0.5 - PEAK) / 2) for c in range(3)},
        "votes or shares of the classes",
    ),
    "a value in one class alone": ({"mark": np.where(GIVEN == 1, HEIGHT, np.nan)}, "has a value or none"),
    "a second label of half of the rows": (
        {"label_2": np.where(np.arange(ROWS) % 2, NAMES[TRUE], "")},
        "of the rows that have a value: --raters label,label_2",
    ),
    "a finer label": (
        {"kind": [f"kind {c}{n % 4}" for n, c in enumerate(GIVEN)]},
        "each of its values belongs to one",
    ),
}


@pytest.mark.parametrize("case", LEAKS)
def test_what_gives_the_label_away_is_left_out_with_the_reason(case, tmp_path):
    columns, why = LEAKS[case]
    for number, order in enumerate((None, RNG.permutation(ROWS))):  # not only where rows are sorted by class
        folder = tmp_path / str(number)
        folder.mkdir()
        if order is not None and "time" in case:
            continue  # then nothing says that the rows were collected in its order
        found = read(folder, columns, order=order)
        assert found.feature_names == ("height",)
        assert all(why in found.leaks[name] and found.left_out[name] == found.leaks[name] for name in columns)
        assert set(columns) <= set(found.display_columns)
        assert not found.suspects


@pytest.mark.parametrize("name", ["patient", "PatientCode", "subject_id"])
def test_a_code_of_a_patient_who_has_one_label_is_left_out(name, tmp_path):
    codes = RNG.permutation(9_000)[: ROWS // 5][VISITS]
    assert list(read(tmp_path, {name: codes}, NAMES[OF_PATIENT[VISITS]]).leaks) == [name]


@pytest.mark.parametrize(
    "name",
    ["RowNumber", "customer_id", "PassengerId", "nr", "no", "transactionID", "level_0", "userid"],
)
def test_names_of_ids_are_ids_where_nearly_every_value_differs(name, tmp_path):
    found = read(tmp_path, {name: RNG.permutation(ROWS), "humid": RNG.permutation(ROWS)})
    assert found.left_out == {name: "an id: nearly every value is different"}
    assert read(tmp_path, {name: RNG.integers(0, 9, ROWS)}).left_out == {}


def test_a_code_of_the_class_beside_a_text_alone_is_left_out(tmp_path):
    texts = [f"a note number {row} that says nothing of its class at all" for row in range(ROWS)]
    pd.DataFrame({"text": texts, "q": GIVEN, "label": NAMES[GIVEN]}).to_csv(tmp_path / "t.csv", index=False)
    found = ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")
    assert (found.payload, list(found.leaks)) == ("text", ["q"])


def test_texts_that_are_there_several_times_are_texts(tmp_path):
    texts = [f"a note number {row // 3} that says nothing of its class at all" for row in range(ROWS)]
    found = read(tmp_path, {"text": texts})
    assert found.texts == ("text",)


def test_a_coarser_label_and_a_label_in_several_spellings_are_found(tmp_path):
    paths = np.array(["animal/cat", "animal/dog", "vehicle/car"])[GIVEN]
    assert (
        "parts of the names"
        in read(tmp_path, {"kind": [p.split("/")[0] for p in paths]}, paths).leaks["kind"]
    )
    spelled = [name.upper() if row % 2 else f"{name} " for row, name in enumerate(NAMES[GIVEN])]
    assert "repeats the label" in read(tmp_path, {"q": GIVEN}, spelled).leaks["q"]


def flipped(labels, share):
    wrong = RNG.choice(len(labels), int(share * len(labels)), replace=False)
    labels = np.array(labels)
    labels[wrong] = RNG.permutation(labels)[wrong]
    return labels


@pytest.mark.parametrize("share", [0, 0.06])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_no_measurement_of_a_classic_set_is_left_out(name, share, tmp_path):
    table = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = table.data.assign(label=flipped(table.target, share))
    for order in (frame.index, frame.sort_values(list(frame)[2]).index):
        frame.loc[order].to_csv(tmp_path / "t.csv", index=False)
        found = ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")
        assert (found.left_out, found.suspects) == ({}, {})


AGE = RNG.integers(1, 80, ROWS)
HONEST = {
    "a threshold in whole numbers": (AGE, AGE < 18, True),
    "a threshold in decimals": (HEIGHT * 2, HEIGHT > 0, True),
    "a threshold, and some wrong labels": (AGE, flipped(AGE < 18, 0.06), False),
    "a test that is nearly always right": (flipped(AGE < 18, 0.08), AGE < 18, False),
    "an order of rows alone": (RNG.normal(size=ROWS), GIVEN, False),
    "numbers of all rows that say nothing": (np.arange(ROWS), RNG.permutation(GIVEN), False),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_may_be_measured_is_kept_and_pointed_out_where_it_says_all(case, tmp_path):
    values, label, suspect = HONEST[case]
    found = read(tmp_path, {"measured": values}, [f"class {one}" for one in label])
    assert "measured" in found.feature_names
    assert list(found.suspects)[-1:] == (["measured"] if suspect else [])
    # Whoever names it has looked at it.
    named = read(
        tmp_path, {"measured": values}, [f"class {one}" for one in label], features=("height", "measured")
    )
    assert not named.suspects


def test_a_feature_that_was_named_stays_and_is_suspected(tmp_path):
    found = read(tmp_path, {"label_id": GIVEN}, features=("height", "label_id"))
    assert found.feature_names == ("height", "label_id")
    assert list(found.suspects) == ["label_id"]


def test_nothing_but_leaks_is_refused_in_one_line(tmp_path):
    frame = pd.DataFrame({"nr": np.arange(ROWS), "label_id": GIVEN, "label": NAMES[GIVEN]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=r"nothing is left to learn from: 'nr' .*, 'label_id' .*--features"):
        ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("label: {name}. {words}", True),
        ("{words} (#{name})", True),
        ("{words}", False),
        ("{name} {other} {words}", False),
    ],
)
def test_a_word_that_tells_the_label_is_pointed_out(text, leaks, tmp_path):
    words = ["".join(RNG.choice(list("abcdefgh"), 4)) + " " for _ in range(400)]
    texts = [
        text.format(
            name=NAMES[GIVEN[n]],
            other=NAMES[(GIVEN[n] + 1 + n % 2) % 3],
            words="".join(RNG.choice(words, 20)),
        )
        for n in range(ROWS)
    ]
    frame = pd.DataFrame({"said": texts, "nr": np.arange(ROWS), "label": NAMES[GIVEN]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = ingest(Source(uri=str(tmp_path / "t.csv")), tmp_path / "run")
    assert found.payload == "text"  # beside a number of rows, it is all there is
    assert ("the words 'cat', 'dog', 'elk'" in found.suspects.get("said", "")) == leaks


def test_a_column_of_two_values_that_mostly_agrees_with_the_label_is_kept_and_said(tmp_path):
    code = np.where(RNG.random(ROWS) < 0.08, RNG.integers(0, 2, ROWS), GIVEN == 0)
    label = np.where(GIVEN == 0, "cat", "dog")
    found = read(tmp_path, {"q7": np.where(code, "A", "B")}, label=label)
    assert (found.feature_names, found.leaks, found.suspects) == (("height", "q7"), {}, {})
    assert [note for note in found.notes if "column 'q7' agrees with the label in" in note]


def test_rows_that_are_there_twice_tell_nothing_of_their_measurements(tmp_path):
    twice = np.tile(np.arange(ROWS), 2)
    columns = {"height": HEIGHT[twice], "age": np.arange(ROWS)[twice] % 7, "copy": GIVEN[twice]}
    found = read(tmp_path, columns, label=NAMES[GIVEN][twice])
    assert (set(found.leaks), found.suspects) == ({"copy"}, {})
