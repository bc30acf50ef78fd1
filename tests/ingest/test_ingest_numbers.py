"""Numbers as people write them, in CSV and in columns of text elsewhere; what is missing, and what is text."""

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Dataset, Source
from tasks.validate import validate

ROWS = 200
# Nothing tells them.
LABELS = np.random.default_rng(1).permutation(["a", "b"] * (ROWS // 2)).tolist()
NUMBERS = np.random.default_rng(0).normal(3_000, 2_000, ROWS).round(2)


def written(path: Path, values: list[str | None], delimiter: str = ";", **more: list[str]) -> Path:
    """Write a column `c` of text, with labels, as the format that the name says."""
    columns = {"x": [str(n) for n in range(ROWS)], "c": values, "label": LABELS} | more
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return path
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
        return path
    quote = [[f'"{value}"' if value and delimiter in value else value or "" for value in row] for row in rows]
    path.write_text("\n".join(map(delimiter.join, [list(columns), *quote])) + "\n")
    return path


def read(path: Path, **options: object) -> Dataset:
    return ingest(Source(uri=str(path), **options), path.parent / "run")


def column(dataset: Dataset, name: str = "c") -> np.ndarray:
    features = np.array(pq.read_table(dataset.path)["features"].to_pylist())
    return features[:, dataset.feature_names.index(name)]


def kind(dataset: Dataset, name: str = "c") -> str:
    return next((found.kind for found in dataset.columns if found.name == name), "left out")


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


WAYS = {
    "plain": str,
    "decimal comma": lambda number: str(number).replace(".", ","),
    "german": german,
    "english": lambda number: f"{number:,.2f}",
    "french": lambda number: german(number).replace(".", "\u202f"),
    "swiss": lambda number: f"{number:,.2f}".replace(",", "’"),
    "pounds": lambda number: f"-£{-number:,.2f}" if number < 0 else f"£{number:,.2f}",
    "bookkeeping": lambda number: f"({-number:,.2f})" if number < 0 else f"{number:,.2f}",
    "euros": lambda number: f"{german(number)} €",
    "percent": lambda number: f"{number:.2f}%",
    "kilograms": lambda number: f"{number:.2f} kg",
    "degrees": lambda number: f"{number:.2f}°C",
    "squares": lambda number: f"{german(number)} m²",
    "minus": lambda number: f"{number:.2f}".replace("-", "−"),
    "apostrophe": lambda number: f"'{number:.2f}",
    "full width": lambda number: f"{number:.2f}".translate({ord(a): ord(a) + 0xFEE0 for a in "0123456789.-"}),
    "powers": lambda number: f"{number / 1000:.5f} × 10³",
    "powers in ASCII": lambda number: f"{number * 100:.0f}x10^-2",
    "Fortran": lambda number: f"{number / 10:.3f}D+01",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["n.csv", "n.parquet", "n.jsonl"])
def test_numbers_are_read_however_they_are_written(way, name, tmp_path):
    dataset = read(written(tmp_path / name, [WAYS[way](number) for number in NUMBERS]))
    np.testing.assert_allclose(column(dataset), NUMBERS, rtol=1e-6)
    assert not dataset.notes


@pytest.mark.parametrize("pattern", ["%H:%M", "%H:%M:%S", "%I:%M %p"])
def test_times_of_a_day_are_read(pattern, tmp_path):
    minutes = np.arange(ROWS) * 7
    times = [time.strftime(pattern, time.gmtime(60 * minute)) for minute in minutes.tolist()]
    dataset = read(written(tmp_path / "n.csv", times))
    assert kind(dataset) == "date"
    expected = minutes % (24 * 60) / (24 * 60)
    np.testing.assert_allclose(np.diff(column(dataset)), np.diff(expected), atol=1e-5)


def test_thousands_and_millions_behind_numbers_are_said(tmp_path):
    values = [f"€{n}.5M" if n % 3 == 0 else f"€{n}K" if n % 3 == 1 else f"€{n}" for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert column(dataset)[:6].tolist() == [500_000, 1_000, 2, 3_500_000, 4_000, 5]
    assert dataset.notes == ("column 'c': k, M and B behind numbers are thousands, millions and billions",)


@pytest.mark.parametrize(
    ("values", "read_as", "scale"),
    [
        (["2h 50m", "19h", "25m", "1 day, 3 hrs and 5 min"], [10_200, 68_400, 1_500, 97_500], "seconds"),
        (["90 secs", "3 minutes", "2 Hours", "2 days"], [90, 180, 7_200, 172_800], "seconds"),
        (["5'11\"", "6'0\"", "5 ft 2 in", "5'7"], [1.8034, 1.8288, 1.5748, 1.7018], "metres"),
        (["500 g", "1.2 kg", "2 lb 3 oz", "4 oz"], [500, 1_200, 992.233, 113.398], "grams"),
        (["512 KB", "1.5 MB", "2 GB", "8 MB"], [512e3, 1.5e6, 2e9, 8e6], "bytes"),
    ],
    ids=["hours and minutes", "mixed durations", "feet and inches", "weights", "sizes"],
)
def test_numbers_with_several_units_are_brought_to_one(values, read_as, scale, tmp_path):
    different = [f"{n + 1}{values[1].lstrip('0123456789')}" for n in range(ROWS - len(values))]
    dataset = read(written(tmp_path / "n.csv", values + different))
    np.testing.assert_allclose(column(dataset)[: len(values)], read_as, rtol=1e-5)
    assert dataset.notes == (f"column 'c': numbers with different units are read in {scale}",)


@pytest.mark.parametrize(
    "values",
    [
        [f"{n % 3 * 12} months" for n in range(ROWS)],
        [f"{n % 70} {'kg' if n % 2 else 'cm'}" for n in range(ROWS)],
        [f"{n % 30}{'abcdefghijklmnopqrstuvwxyz'[n % 26]}" for n in range(ROWS)],
    ],
    ids=["few", "two units", "codes"],
)
def test_a_unit_is_read_only_where_it_is_that_of_many_different_numbers(values, tmp_path):
    assert kind(read(written(tmp_path / "n.csv", values))) != "number"


@pytest.mark.parametrize(
    "mark", ["?", "NA", "n/a", "-", ".", "null", "NaN", "NULL", "#N/A", "", "<NA>", "\\N"]
)
@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_usual_marks_are_missing_numbers(mark, name, tmp_path):
    values = [mark if n % 10 == 3 else str(number) for n, number in enumerate(NUMBERS)]
    dataset = read(written(tmp_path / name, values))
    assert np.isnan(column(dataset)).nonzero()[0].tolist() == list(range(3, ROWS, 10))
    assert not dataset.notes


@pytest.mark.parametrize("mark", ["NA", "null", "None", "nan", "?"])
def test_a_class_may_be_called_like_a_missing_value(mark, tmp_path):
    labels = [mark, "EU"] * (ROWS // 2)
    path = written(tmp_path / "n.csv", [str(number) for number in NUMBERS], label=labels)
    dataset = read(path)
    assert set(dataset.classes) == {mark, "EU"}
    assert dataset.notes == (f"'{mark}' (100) is a class; --missing {mark} makes it a missing label",)
    with pytest.raises(InputError, match="column 'label' has only one class"):
        read(path, missing=(mark,))


def test_text_keeps_words_that_mean_missing_elsewhere(tmp_path):
    path = written(tmp_path / "n.csv", ["NA", "EU"] * (ROWS // 2))
    assert read(path).columns[1].categories == ("EU", "NA")
    assert read(path, missing=("NA",)).left_out == {}
    assert pq.read_table(tmp_path / "run" / "dataset.parquet")["c"].to_pylist()[:2] == [None, "EU"]


@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_missing_names_numbers_too(name, tmp_path):
    values = ["-999" if n % 10 == 3 else str(n) for n in range(ROWS)]
    path = written(tmp_path / name, values)
    if name.endswith("parquet"):
        table = pq.read_table(path)
        pq.write_table(table.set_column(1, "c", table["c"].cast(pa.float64())), path)
    assert np.isnan(column(read(path, missing=("-999",)))).sum() == ROWS / 10


@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_a_few_odd_words_are_missing_numbers_and_counted(name, tmp_path):
    values = [str(number) for number in NUMBERS]
    values[5], values[50] = "see note", "broken"
    dataset = read(written(tmp_path / name, values))
    assert np.isnan(column(dataset)).nonzero()[0].tolist() == [5, 50]
    assert dataset.notes == (
        "column 'c': 2 values that are no numbers, such as 'see note', count as missing",
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            [f"{n} of {n + 5}" if n % 4 == 0 else str(n) for n in range(ROWS)],
            "holds numbers except for 50 values such as '0 of 5'",
        ),
        (
            [f"{n}%" if n % 4 else f"{n}" for n in range(ROWS)],
            "holds numbers with and without a percent sign",
        ),
        ([f"{'$€'[n % 2]}{n}" for n in range(ROWS)], "holds amounts in several currencies ($, €)"),
        ([f"room {n}" for n in range(ROWS)], "nearly every value is different"),
        (["NA"] * ROWS, "has no value at all"),
    ],
)
def test_a_column_that_is_left_out_says_the_true_reason(values, why, tmp_path):
    assert read(written(tmp_path / "n.csv", values)).left_out == {"c": why}


@pytest.mark.parametrize(
    "rough", ["<{}", ">= {}", "~{}", "≤{}", "{}+", "{} ± 0.5", "{}+/-2", "{} (0.5)", "{} [1, 9]", "{}*"]
)
def test_limits_and_rough_numbers_are_numbers_and_that_is_said(rough, tmp_path):
    values = [rough.format(n + 1) if n % 3 == 0 else str(n + 1) for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert column(dataset).tolist() == list(range(1, ROWS + 1))
    assert dataset.notes == (f"column 'c': '{values[0]}' and its like are read as 1",)


def test_a_few_limits_are_categories(tmp_path):
    values = ["< 1 year", "1 year", "2 years", "10+ years"] * (ROWS // 4)
    assert kind(read(written(tmp_path / "n.csv", values))) == "category"
    assert kind(read(written(tmp_path / "n.csv", ["<1", "1", "2", "10+"] * (ROWS // 4)))) == "category"


def test_a_comma_before_an_exponent_is_that_of_a_fraction(tmp_path):
    values = [f"{1 + n / 100:.3f}E-07".replace(".", ",") for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values, "\t"))
    np.testing.assert_allclose(column(dataset)[:2], [1e-7, 1.01e-7], rtol=1e-6)
    assert not dataset.notes


def test_names_of_files_are_no_numbers_with_a_unit(tmp_path):
    values = [f"{n}.wav" for n in range(ROWS)]
    assert kind(read(written(tmp_path / "n.csv", values))) == "left out"


@pytest.mark.parametrize("word", ["not measured", "Varies with device"])
def test_a_word_for_a_missing_number_is_one_however_often(word, tmp_path):
    values = [word if n % 4 == 0 else str(number) for n, number in enumerate(NUMBERS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert np.isnan(column(dataset)).nonzero()[0].tolist() == list(range(0, ROWS, 4))
    assert dataset.notes == (
        f"column 'c': 50 values that are no numbers, such as '{word}', count as missing",
    )


def test_codes_beside_a_word_are_categories(tmp_path):
    values = ["1", "2", "3", "4"] * (ROWS // 4 - 2) + ["other"] * 8
    assert kind(read(written(tmp_path / "n.csv", values))) == "category"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"{n % 3}" for n in range(ROWS)], "category"),  # the type says text, and the values are few
        ([f"{n:05}" for n in range(ROWS)], "left out"),
        ([f"{100_000 + n}" for n in range(ROWS)], "left out"),
        ([f"{n % 70}" for n in range(ROWS)], "number"),
        ([f"{n % 3}.5" for n in range(ROWS)], "number"),
    ],
)
def test_whole_numbers_that_a_typed_file_holds_as_text(values, expected, tmp_path):
    other = [str(number) for number in NUMBERS]
    assert kind(read(written(tmp_path / "n.parquet", values, x=other))) == expected


def test_what_could_be_thousands_or_a_fraction_is_decided_by_the_file_and_said(tmp_path):
    grouped = [f"{1 + n % 9}.{n:03}" for n in range(ROWS)]
    prices = [german(number) for number in NUMBERS]
    for others, factor in (({}, 1), ({"price": prices}, 1_000)):
        dataset = read(written(tmp_path / "n.csv", grouped, "\t", **others))
        np.testing.assert_allclose(column(dataset)[1], 2.001 * factor)
        assert dataset.notes == (f"column 'c': '1.000' and its like are read as {factor:g}",)
    comma = [value.replace(".", ",") for value in grouped]
    for delimiter, wanted in ((",", 2001), (";", 2.001)):
        dataset = read(written(tmp_path / "n.csv", comma, delimiter))
        np.testing.assert_allclose(column(dataset)[1], wanted)


def test_the_type_of_a_column_is_that_of_all_parts(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    written(folder / "1.csv", [str(n) for n in range(ROWS)])
    written(folder / "2.csv", [f"{n},5" for n in range(ROWS)])
    dataset = read(folder)
    np.testing.assert_allclose(column(dataset)[[1, ROWS + 1]], [1, 1.5])


def test_dates_may_be_missing(tmp_path):
    values = ["NA" if n % 10 == 3 else f"2024-01-{1 + n % 28:02}" for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert kind(dataset) == "date"
    assert np.isnan(column(dataset)).sum() == ROWS / 10


@pytest.mark.parametrize(
    ("form", "expected"), [("{0:02}:{1:02}:07", "date"), ("{0}:{1:02}", "date"), ("{2}:{3}", "category")]
)
def test_times_are_moments_of_a_day_and_scores_of_matches_are_none(form, expected, tmp_path):
    values = [form.format(n % 24, n % 60, n % 3, n % 4) for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert kind(dataset) == expected
    if expected == "date":
        np.testing.assert_allclose(np.diff(column(dataset)[:2]) * 24 * 60, 61, rtol=1e-3)


@pytest.mark.parametrize(
    ("form", "step"),
    [
        ("{h}:{m:02}:00", 61.0),
        ("{h} days {m:02}:00:00", 1500.0),
        ("PT{h}H{m}M", 61.0),
        ("{h}:{m:02}.500", 61 / 60),
        ("{h:02}:{m:02}:07 PM", 61.0),
        ("{d}. März 2024", 24 * 60.0),
        ("{d} de marzo de 2024", 24 * 60.0),
        ("Friday, March {d:02}, 2024", 24 * 60.0),
        ("2024年3月{d}日", 24 * 60.0),
        ("2024/03/01 {h}:{m:02}:07 PM GMT+2", 61.0),
        ("[{d:02}/Mar/2024:08:20:45 +0000]", 24 * 60.0),
        ("2024-03-{d:02} 08:20:45.600000 UTC", 24 * 60.0),
        ("{d:02}.03.2024, 08:20 Uhr", 24 * 60.0),
        ("Fri Mar {d:02} 08:20:45 PDT 2024", 24 * 60.0),
    ],
)
def test_lengths_of_time_and_dates_with_words_are_learned_from(form, step, tmp_path):
    hours = 11 if "PM" in form else 40
    values = [form.format(h=1 + n % hours, m=n % 60, d=1 + n % 28) for n in range(ROWS)]
    dataset = read(written(tmp_path / "n.csv", values))
    assert kind(dataset) == "date"
    np.testing.assert_allclose(np.diff(column(dataset)[:2]) * 24 * 60, step, rtol=1e-3)


def test_numbers_beyond_single_precision_set_their_row_aside_for_that_reason(tmp_path):
    values = [str(number) for number in NUMBERS]
    values[7] = "1e300"
    kept = validate(read(written(tmp_path / "n.csv", values)), tmp_path / "run", folds=5)
    assert kept.quarantined == 1
    (reason,) = pq.read_table(kept.quarantine)["reason"].to_pylist()
    assert "1e+300 in column 'c' is beyond 3.4e38" in reason


@pytest.mark.parametrize(("ids", "expected"), [("{}.0", "7"), ("{}", "7"), ("k{}", "k7"), ("00{}", "007")])
def test_ids_that_were_floats_are_whole_numbers(ids, expected, tmp_path):
    keys = [ids.format(n) for n in range(ROWS)]
    path = written(tmp_path / "n.csv", [str(number) for number in NUMBERS], key=keys)
    assert pq.read_table(read(path, id="key").path)["sample_id"][7].as_py() == expected


def test_classes_that_differ_only_in_how_they_are_written_are_one_and_pointed_out(tmp_path):
    labels = ["Yes", "no"] * (ROWS // 2 - 5) + ["yes ", "YES"] * 5
    path = written(tmp_path / "n.csv", [str(number) for number in NUMBERS], label=labels)
    dataset = read(path)
    assert set(dataset.classes) == {"Yes", "no"}
    assert pq.read_table(dataset.path)["label"].to_pylist()[-2:] == ["Yes", "Yes"]
    assert dataset.notes == ("'YES' (5) and 'yes ' (5) are read as 'Yes' (95)",)
