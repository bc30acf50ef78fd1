"""The user's own expectations: what they do to rows, and what a wrong file is told."""

import json
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from validate_data import columns, files, write

from tasks.errors import InputError, ValidationFailed
from tasks.validate import parts, validate
from tasks.validate.drift import Contract

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"


def own(path: Path, *entries: dict) -> Path:
    """Write a file of expectations."""
    path.write_text(json.dumps(entries) if path.suffix == ".json" else yaml.safe_dump(list(entries)))
    return path


def expect(kind: str, column: str | None = None, **kwargs: object) -> dict:
    """Return one entry."""
    return {"type": kind, "kwargs": ({"column": column} if column else {}) | kwargs}


def run(folder: Path, data: dict, *entries: dict, **options: object):
    """Validate data under some expectations of the user's; return the record and the reasons by row."""
    dataset = write(folder / "dataset.parquet", data)
    validation = validate(
        dataset, folder, folds=2, expectations=own(folder / "own.yaml", *entries), **options
    )
    if validation.quarantine is None:
        return validation, {}
    rows = pq.read_table(validation.quarantine).to_pylist()
    return validation, {row["sample_id"]: row["reason"] for row in rows}


def checks(folder: Path) -> dict[str, dict]:
    """Return the checks of the result, by name."""
    return {
        check["check"]: check
        for check in json.loads((folder / "validation" / "result.json").read_text())["checks"]
    }


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_rows_that_fail_a_users_expectation_are_set_aside(tmp_path, suffix):
    data = columns()
    data["age"][9] = -4
    path = own(tmp_path / f"own{suffix}", expect(BETWEEN, "age", min_value=0))
    validation = validate(write(tmp_path / "dataset.parquet", data), tmp_path, folds=5, expectations=path)
    assert validation.reasons == {"age is not between 0 and inf": 1}
    assert pq.read_table(validation.quarantine)["reason"].to_pylist() == ["age = -4 is not between 0 and inf"]
    found = checks(tmp_path)["expectation 1"]
    assert found["says"] == "age is between 0 and inf"
    assert found["examples"] == [
        {"sample_id": "s9", "source_row": 18, "reason": "age = -4 is not between 0 and inf"}
    ]


def test_each_reason_is_in_plain_words_with_the_value(tmp_path):
    data = columns(80)
    data["city"][3], data["city"][5], data["city"][7], data["city"][9] = None, "Köln", "U", "B" * 90
    data["weight"] = [60.5 + row % 7 for row in range(80)]
    data["weight"][11] = None
    data["weight"][13] = 20.25
    data["floor"] = [10] * 80
    data["floor"][15] = 90
    _, reasons = run(
        tmp_path,
        data,
        expect("expect_column_values_to_not_be_null", "city"),
        expect(IN_SET, "city", value_set=["Bonn", "Ulm", "Trier", "U", "B" * 90]),
        expect("expect_column_value_lengths_to_be_between", "city", min_value=2, max_value=10),
        expect("expect_column_values_to_not_be_null", "weight"),
        expect(BETWEEN, "weight", min_value=40, strict_min=True),
        expect("expect_column_pair_values_a_to_be_greater_than_b", column_A="age", column_B="floor"),
    )
    assert reasons == {
        "s3": "city is missing",
        "s5": "city = 'Köln' is not one of ['Bonn', 'Ulm', 'Trier', 'U', '" + "B" * 58 + "…]",
        "s7": "city = 'U' does not have a length between 2 and 10",
        "s9": "city = '" + "B" * 58 + "… does not have a length between 2 and 10",
        "s11": "weight is missing",
        "s13": "weight = 20.25 is not between 40 and inf (lower bound excluded)",
        "s15": "age = 35, floor = 90 are not in descending order",
    }


def test_a_row_with_the_same_fault_twice_says_it_once(tmp_path):
    data = columns()
    data["label"][4] = None
    validation, reasons = run(tmp_path, data, expect("expect_column_values_to_not_be_null", "label"))
    assert reasons == {"s4": "label is missing"}
    assert validation.reasons == {"label is missing": 1}


def test_a_warning_is_reported_and_sets_nothing_aside(tmp_path):
    validation, reasons = run(
        tmp_path, columns(), expect(IN_SET, "city", value_set=["Bonn"]) | {"severity": "warning"}
    )
    assert (validation.quarantined, reasons) == (0, {})
    found = checks(tmp_path)["expectation 1"]
    assert (found["severity"], found["success"], found["unexpected"], len(found["examples"])) == (
        "warning",
        False,
        40,
        5,
    )


def test_mostly_is_a_share_of_the_whole_data_set_not_of_a_part(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_PER_PART", 16)
    data = columns(100)
    for row in range(8):
        data["age"][row] = -1
    held, _ = run(tmp_path / "a", data, expect(BETWEEN, "age", min_value=0, mostly=0.92))
    broken, reasons = run(tmp_path / "b", data, expect(BETWEEN, "age", min_value=0, mostly=0.93))
    assert held.quarantined == 0
    assert (broken.quarantined, list(reasons)) == (8, [f"s{row}" for row in range(8)])


def test_rows_are_compared_with_each_other_across_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROWS_PER_PART", 16)
    data = columns(64)
    data["badge"] = [f"b{row}" for row in range(64)]
    data["badge"][60] = "b2"
    _, reasons = run(tmp_path, data, expect("ExpectColumnValuesToBeUnique", "badge"))
    assert reasons == {"s2": "badge = 'b2' is not unique", "s60": "badge = 'b2' is not unique"}


def test_a_row_condition_chooses_rows_by_another_column(tmp_path):
    data = columns()
    data["birth place"] = data.pop("city")
    data["age"][0] = data["age"][1] = -3
    entry = expect(BETWEEN, "age", min_value=0, row_condition="`birth place` == 'Ulm'")
    _, reasons = run(tmp_path, data, entry)
    assert reasons == {"s1": "age = -3 is not between 0 and inf"}
    assert checks(tmp_path)["expectation 1"]["rows"] == 20


def test_an_expectation_about_a_whole_column_stops_the_run_when_it_does_not_hold(tmp_path):
    entry = expect("expect_column_mean_to_be_between", "age", max_value=30)
    with pytest.raises(ValidationFailed) as caught:
        run(tmp_path, columns(), entry)
    assert str(caught.value).startswith(
        "people.csv: this does not hold: age has a mean between -inf and 30 (found 41.1"
    )
    assert str(caught.value).endswith(f"; see {tmp_path}/validation/result.json")
    assert not checks(tmp_path)["expectation 1"]["success"]
    validation, _ = run(tmp_path / "b", columns(), entry | {"severity": "info"})
    assert validation.quarantined == 0


def test_columns_and_counts_can_be_expected(tmp_path):
    run(
        tmp_path,
        columns(),
        expect("expect_column_to_exist", "age"),
        expect("expect_table_row_count_to_be_between", min_value=60, max_value=60),
        expect("expect_column_values_to_be_of_type", "age", type_="int64"),
    )
    assert [checks(tmp_path)[f"expectation {number}"]["success"] for number in (1, 2, 3)] == [True] * 3
    with pytest.raises(ValidationFailed, match="the table has the column 'weight'"):
        run(tmp_path / "b", columns(), expect("expect_column_to_exist", "weight"))


def test_a_suite_that_great_expectations_wrote_is_accepted(tmp_path):
    validate(write(tmp_path / "dataset.parquet", columns()), tmp_path, folds=5)
    written = json.loads((tmp_path / "validation" / "suite.json").read_text())
    written["expectations"] = [
        entry for entry in written["expectations"] if entry["kwargs"].get("column") == "label"
    ]
    (tmp_path / "suite.json").write_text(json.dumps(written))
    again = tmp_path / "again"
    dataset = write(again / "dataset.parquet", columns())
    assert validate(dataset, again, folds=5, expectations=tmp_path / "suite.json").quarantined == 0


def test_dates_in_yaml_are_compared_as_dates(tmp_path):
    data = columns()
    data["seen"] = [datetime(2024, 1, 1 + row % 28) for row in range(60)]  # noqa: DTZ001
    data["seen"][8] = datetime(1970, 1, 1)  # noqa: DTZ001
    data["born"] = [moment.date() for moment in data["seen"]]
    data["born"][9] = date(1960, 1, 1)
    _, reasons = run(
        tmp_path,
        data,
        expect(BETWEEN, "seen", min_value=date(2020, 1, 1)),
        expect(BETWEEN, "born", min_value="1970-01-01"),
        expect(BETWEEN, "seen", max_value=datetime(2024, 1, 28, 12)),  # noqa: DTZ001
    )
    assert reasons == {
        "s8": "seen = 1970-01-01 00:00:00 is not between 2020-01-01 and inf",
        "s9": "born = 1960-01-01 00:00:00 is not between '1970-01-01' and inf",
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("not a mapping", "entry 1: it has no type; write {type: expect_…, kwargs: {column: …}}"),
        ({"kwargs": {}}, "entry 1: it has no type; write {type: expect_…, kwargs: {column: …}}"),
        ({"type": BETWEEN, "kwarg": {}}, "entry 1: unknown key 'kwarg'; did you mean 'kwargs'?"),
        (
            expect("expect_column_values_to_be_betwen", "age"),
            f"entry 1: unknown expectation 'expect_column_values_to_be_betwen'; did you mean '{BETWEEN}'?",
        ),
        (
            expect(BETWEEN, "aeg", min_value=0),
            f"entry 1 ({BETWEEN}): there is no column 'aeg' to check; did you mean 'age'?",
        ),
        (
            expect(BETWEEN, "features", min_value=0),
            f"entry 1 ({BETWEEN}): there is no column 'features' to check; choose from: 'sample_id', 'label', 'content_hash', ",
        ),
        (
            expect(BETWEEN, "age", min=0),
            f"entry 1 ({BETWEEN}): 'min' is not an argument of it; choose from: ",
        ),
        (
            expect(BETWEEN, "age", min_valu=0),
            f"entry 1 ({BETWEEN}): 'min_valu' is not an argument of it; did you mean 'min_value'?",
        ),
        (
            expect(BETWEEN, "age", result_format="BASIC", min_value=0),
            f"entry 1 ({BETWEEN}): 'result_format' is not an argument of it",
        ),
        (
            expect(BETWEEN, "age"),
            f"entry 1 ({BETWEEN}): its arguments are wrong: min_value and max_value cannot both be None; correct its kwargs",
        ),
        (
            expect(BETWEEN, "age", min_value=0, mostly=3),
            f"entry 1 ({BETWEEN}): its arguments are wrong: mostly: ensure this value is less than or equal to 1.0",
        ),
        (
            expect(BETWEEN, min_value=0),
            f"entry 1 ({BETWEEN}): its arguments are wrong: column: field required",
        ),
        (
            expect(BETWEEN, "age", min_value={"$PARAMETER": "x"}),
            f"entry 1 ({BETWEEN}): 'min_value' is a suite parameter",
        ),
        ({"type": BETWEEN, "kwargs": [1]}, f"entry 1 ({BETWEEN}): kwargs is not a mapping"),
        (
            expect(BETWEEN, "age", min_value=0) | {"severity": "fatal"},
            f"entry 1 ({BETWEEN}): unknown severity 'fatal'; choose one of: critical, warning, info",
        ),
        (expect(BETWEEN, "age", min_value=0) | {"meta": 3}, f"entry 1 ({BETWEEN}): meta is not a mapping"),
        (expect("unexpected_rows_expectation", unexpected_rows_query="select"), "needs a database"),
        (
            expect(BETWEEN, "age", min_value=0, row_condition="@pd.io.common.os.system('touch /tmp/x')"),
            "row_condition cannot be read",
        ),
        (
            expect(BETWEEN, "age", min_value=0, row_condition="city.to_csv('x') == 1"),
            "row_condition does more than compare",
        ),
        (
            expect(BETWEEN, "age", min_value=0, row_condition="town == 'x'"),
            "there is no column 'town' for its row_condition",
        ),
        (expect(BETWEEN, "age", min_value=0, row_condition={"type": "x"}), "row_condition is not text"),
        (expect(BETWEEN, "city", min_value=0), f"entry 1 ({BETWEEN}): it cannot be run: "),
        (
            expect("expect_column_values_to_match_regex", "city", regex="("),
            "entry 1 (expect_column_values_to_match_regex): it cannot be run: ",
        ),
        (
            expect("expect_column_values_to_match_regex", "city"),
            "entry 1 (expect_column_values_to_match_regex): the argument 'regex' is missing; add it to its kwargs",
        ),
    ],
)
def test_a_wrong_entry_is_named_and_touches_nothing(tmp_path, entry, message):
    path = own(tmp_path / "own.yaml", entry)
    dataset = write(tmp_path / "run" / "dataset.parquet", columns())
    before = files(tmp_path)
    with pytest.raises(InputError) as caught:
        validate(dataset, tmp_path / "run", folds=5, expectations=path)
    text = str(caught.value)
    assert text.startswith(f"{path}, entry 1")
    assert message.replace("entry 1", f"{path}, entry 1", 1) in text
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.yaml", None, "cannot read the expectations (No such file or directory)"),
        ("own.yaml", "- {type: [", "not YAML"),
        (
            "own.yaml",
            "- !!python/object/apply:os.system ['true']",
            "line 1 is not YAML (could not determine a constructor",
        ),
        ("own.yaml", "[" * 100_000, "not YAML ("),
        ("own.json", "[" * 100_000, "own.json: cannot be read ("),
        ("own.json", "[\n{]", "line 2 is not JSON ("),
        ("own.yaml", "", "it is not a list of expectations; write a list with entries like {type: "),
        ("own.yaml", "expectations: 3", "it is not a list of expectations"),
        ("own.yaml", "[]", "it is not a list of expectations"),
        ("own.yaml", b"\xff\xfe\x00", "cannot be read (not UTF-8 text)"),
    ],
)
def test_a_file_that_is_no_list_of_expectations_is_named(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset = write(tmp_path / "run" / "dataset.parquet", columns())
    with pytest.raises(InputError) as caught:
        validate(dataset, tmp_path / "run", folds=5, expectations=path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_suite_of_great_expectations_is_read_with_its_row_conditions_and_the_users_names(tmp_path):
    import great_expectations as gx
    from great_expectations.expectations.row_conditions import Column

    data = columns()
    data["age"][9], data["age"][10] = -4, -4
    kinds = gx.expectations
    bonn = Column("city") == data["city"][9]
    suite = gx.ExpectationSuite(
        name="mine",
        expectations=[
            kinds.ExpectColumnValuesToBeBetween(column="age", min_value=0, row_condition=bonn),
            kinds.ExpectColumnValuesToBeInSet(column="species", value_set=["c0", "c1"], severity="warning"),
            kinds.ExpectColumnValuesToMatchRegex(
                column="pid", regex="^s", row_condition="age > 3", condition_parser="pandas"
            ),
        ],
    )
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(suite.to_json_dict()))
    names = {"species": "label", "pid": "sample_id"}
    dataset = write(tmp_path / "dataset.parquet", data, own_names=names)
    validation = validate(dataset, tmp_path, folds=2, expectations=path)
    assert pq.read_table(validation.quarantine)["sample_id"].to_pylist() == ["s9"]
    found = checks(tmp_path)
    assert (found["expectation 2"]["says"], found["expectation 2"]["unexpected"]) == (
        "species is one of ['c0', 'c1']",
        20,
    )
    assert found["expectation 3"]["success"]


def _night(folder: Path, data: dict, last: Path | None = None, drift: str = "warn"):
    dataset = write(
        folder / "dataset.parquet", data, own_names={"species": "label", "pid": "sample_id"}, classes=5
    )
    return validate(dataset, folder, folds=2, contract=Contract(last, drift, 0.2))


def test_what_drifts_from_the_last_run_is_told_set_aside_or_stops_the_run(tmp_path):
    first, second = columns(), columns()
    assert _night(tmp_path / "0", first).drift == ()
    assert _night(tmp_path / "1", first, tmp_path / "0").drift == ()
    second["extra"] = second.pop("city")
    second["age"] = [str(age) for age in second["age"]]
    second["weight"] = [1.0] * 60
    third = {name: values[:40] for name, values in columns().items()}
    third["age"][3] = 900
    third["label"] = ["c0"] * 30 + ["c1"] * 9 + ["c2"]
    third["city"] = [None if row % 2 else "Ulm" for row in range(40)]
    told = "\n".join(_night(tmp_path / "2", second, tmp_path / "0").drift)
    assert "columns: 'extra' is new (text), 'weight' is new (number), 'city' is gone" in told
    assert "types: 'age' was number, is text" in told
    told = "\n".join(_night(tmp_path / "3", third, tmp_path / "0").drift)
    assert "rows: 60 rows have become 40" in told
    assert "shares: class 'c0' 33.3% → 75.0%" in told
    assert "missing: city is missing more often than in the last run (20 rows)" in told
    assert "ranges: age is far from where it was in the last run (20 to 69) (1 rows)" in told
    aside = _night(tmp_path / "4", third, tmp_path / "0", "warn,ranges=aside")
    assert pq.read_table(aside.quarantine)["sample_id"].to_pylist() == ["s3", "s39"]  # c2 has one sample
    with pytest.raises(ValidationFailed, match=r"rows: 60 rows have become 40.*--drift warn accepts it"):
        _night(tmp_path / "5", third, tmp_path / "0", "stop")
    assert _night(tmp_path / "6", third, tmp_path / "0", "off").drift == ()


def test_the_same_rows_once_more_are_no_drift_whatever_was_set_aside(tmp_path):
    data = columns(rows=236)
    data["label"] = [None if row % 7 == 0 else label for row, label in enumerate(data["label"])]
    data["label"][5] = "c3"  # one sample, fewer than folds
    data["version"] = [3] * 236
    first = _night(tmp_path / "0", data)
    assert first.quarantined == 35
    contract = json.loads((tmp_path / "0" / "validation" / "contract.json").read_text())
    (shares,) = (
        one["kwargs"] for one in contract["expectations"] if one["meta"] == {"labelsweep_drift": "shares"}
    )
    assert sum(shares["partition_object"]["weights"]) == pytest.approx(1)
    assert _night(tmp_path / "1", data, tmp_path / "0", "stop").drift == ()
    # Rows that drifted and were set aside are so once more: the class does not become a known one.
    data["label"][1:9:2] = ["c4"] * 4
    for night, last in (("2", "1"), ("3", "2")):
        (line,) = _night(tmp_path / night, data, tmp_path / last, "aside").drift
        assert line == "classes: the class was not there in the last run: 'c4' (4 rows)"


def test_new_class_is_told_with_its_name(tmp_path):
    assert _night(tmp_path / "0", columns(classes=2)).drift == ()
    (line,) = _night(
        tmp_path / "1", {**columns(classes=2), "label": ["c0", "c1"] * 28 + ["c2"] * 4}, tmp_path / "0"
    ).drift
    assert line == "classes: the class was not there in the last run: 'c2' (4 rows)"


def test_half_floats_are_held_against_the_last_run_without_their_range(tmp_path):
    data = columns() | {"half": list(np.linspace(0, 1, 60, dtype=np.float16))}
    assert _night(tmp_path / "0", data).drift == ()
    assert _night(tmp_path / "1", data, tmp_path / "0").drift == ()
