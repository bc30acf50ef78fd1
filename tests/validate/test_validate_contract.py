"""What a data set has to be, what happens to rows that are not, and when a run stops."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from validate_data import columns, files, write

from tasks.errors import InputError, ValidationFailed
from tasks.ingest import ingest
from tasks.records import Source
from tasks.runs.progress import call_on_tick
from tasks.validate import parts, validate


def test_a_clean_data_set_is_not_rewritten(tmp_path):
    dataset = write(tmp_path / "dataset.parquet", columns())
    before = (tmp_path / "dataset.parquet").stat()
    validation = validate(dataset, tmp_path, folds=5)
    assert validation.dataset == dataset
    assert (validation.rows_in, validation.quarantined, validation.quarantine, validation.reasons) == (
        60,
        0,
        None,
        {},
    )
    after = (tmp_path / "dataset.parquet").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not (tmp_path / "quarantine.parquet").exists()
    assert json.loads(validation.result.read_text())["success"]


def test_the_bundled_digits_pass_as_ingest_wrote_them(tmp_path):
    dataset = ingest(Source(uri="sample:digits", id="id", truth="true_label"), tmp_path)
    validation = validate(dataset, tmp_path, folds=5)
    assert validation.dataset == dataset
    assert validation.quarantined == 0


def test_a_class_of_one_group_is_set_aside_as_no_other_group_can_check_it(tmp_path):
    data = columns()
    data["label"] = ["c2" if row < 6 else f"c{row % 2}" for row in range(60)]
    data["site"] = [f"s{row // 6}" for row in range(60)]
    dataset = write(tmp_path / "dataset.parquet", data, group="site")
    validation = validate(dataset, tmp_path, folds=5)
    assert validation.reasons == {"the class is in one group": 6}
    assert validation.dataset.classes == ("c0", "c1")
    said = pq.read_table(validation.quarantine)["reason"].to_pylist()
    assert said == ["class 'c2' is in one group of column 'site', and no other group can check it"] * 6


def test_failing_rows_are_set_aside_with_a_reason_each_and_the_rest_goes_on(tmp_path):
    data = columns()
    data["label"][3] = None
    data["features"][5][1] = math.nan
    data["features"][7][0], data["features"][7][2] = math.inf, math.nan
    data["label"][9], data["features"][9][2] = None, -math.inf
    data["features"][11][0] = None
    data["label"][13] = "typo"
    dataset = write(tmp_path / "dataset.parquet", data)
    whole = pq.read_table(dataset.path)

    validation = validate(dataset, tmp_path, folds=5)

    failing = [3, 5, 7, 9, 11, 13]
    quarantine = pq.read_table(validation.quarantine)
    assert quarantine.drop_columns("reason") == whole.drop_columns("features").take(failing)
    assert quarantine["reason"].to_pylist() == [
        "label is missing",
        "feature 'x1' is not finite (NaN)",
        "feature 'x0' is not finite (inf) and 1 more",
        "label is missing; feature 'x2' is not finite (-inf)",
        "feature 'x0' is not finite (NaN)",
        "label = 'typo' is not one of the classes",
    ]
    assert validation.reasons == {
        "a feature is not finite": 4,
        "label is missing": 2,
        "label is not one of the classes": 1,
    }
    kept = pq.read_table(tmp_path / "dataset.parquet")
    assert kept == whole.take([row for row in range(60) if row not in failing])
    assert (validation.dataset.rows, validation.quarantined, validation.rows_in) == (54, 6, 60)
    assert validation.dataset.digest != dataset.digest


def test_the_digest_of_the_cleaned_data_is_what_ingest_gives_the_same_data(tmp_path):
    (tmp_path / "with_gap.csv").write_text(
        "a,label\n" + "\n".join(f"{i},{'xy'[i % 2]}" for i in range(30)) + "\nnan,x\n"
    )
    (tmp_path / "without.csv").write_text(
        "a,label\n" + "\n".join(f"{i},{'xy'[i % 2]}" for i in range(30)) + "\n"
    )
    dirty = validate(
        ingest(Source(uri=str(tmp_path / "with_gap.csv")), tmp_path / "a"), tmp_path / "a", folds=2
    )
    clean = ingest(Source(uri=str(tmp_path / "without.csv")), tmp_path / "b")
    assert dirty.quarantined == 1
    assert dirty.dataset.digest == clean.digest


def test_a_class_whose_samples_are_all_set_aside_is_dropped_from_the_classes(tmp_path):
    data = columns(60)
    for row, label in enumerate(data["label"]):
        if label == "c1" and row >= 18:
            data["label"][row] = "c0"
        elif label == "c1":
            data["features"][row][0] = math.nan
    validation = validate(write(tmp_path / "dataset.parquet", data), tmp_path, folds=5)
    assert validation.quarantined == 6
    assert validation.dataset.classes == ("c0", "c2")


def test_images_go_to_the_quarantine_with_their_bytes(tmp_path):
    data = columns(40)
    data["image"] = [bytes([row]) * 10 for row in range(40)]
    data["label"][4] = None
    dataset = write(tmp_path / "dataset.parquet", data, payload="image", display_columns=("age", "city"))
    validation = validate(dataset, tmp_path, folds=5)
    assert pq.read_table(validation.quarantine)["image"].to_pylist() == [bytes([4]) * 10]


def test_the_cleaned_file_may_lie_elsewhere_than_the_ingested_one(tmp_path):
    data = columns()
    clean = write(tmp_path / "clean.parquet", data)
    data["label"][3] = None
    dirty = write(tmp_path / "dirty.parquet", data)
    assert validate(clean, tmp_path / "a", folds=5).dataset.path == tmp_path / "a" / "dataset.parquet"
    assert (tmp_path / "a" / "dataset.parquet").read_bytes() == clean.path.read_bytes()
    before = dirty.path.read_bytes()
    assert validate(dirty, tmp_path / "b", folds=5).dataset.rows == 59
    assert pq.read_metadata(tmp_path / "b" / "dataset.parquet").num_rows == 59
    assert dirty.path.read_bytes() == before


def test_conflicting_labels_on_identical_content_are_reported_and_stay(tmp_path):
    data = columns()
    data["content_hash"][11] = data["content_hash"][12] = data["content_hash"][13]  # c2, c0, c1
    data["content_hash"][20] = data["content_hash"][23]  # c2 twice
    data["content_hash"][30] = data["content_hash"][31]  # c0 and a row that is set aside
    data["label"][31] = None
    validation = validate(write(tmp_path / "dataset.parquet", data), tmp_path, folds=5)
    assert (validation.conflicting, validation.duplicates, validation.quarantined) == (3, 1, 1)
    found = pq.read_table(tmp_path / "validation" / "conflicts.parquet")
    assert found.to_pylist() == [
        {"sample_id": f"s{row}", "label": label, "content_hash": data["content_hash"][13]}
        for row, label in [(11, "c2"), (12, "c0"), (13, "c1")]
    ]
    check = next(
        check
        for check in json.loads(validation.result.read_text())["checks"]
        if check["check"].startswith("one label")
    )
    assert (check["success"], check["unexpected"]) == (False, 3)
    assert check["examples"][0] == {
        "sample_id": "s11",
        "source_row": 22,
        "reason": "its content carries 2 more label(s)",
    }


def test_a_class_with_fewer_samples_than_folds_is_set_aside_and_a_typo_stays(tmp_path):
    data = columns(60)
    data["label"] = ["north"] * 27 + ["south"] * 28 + ["norht"] + ["rare"] * 3 + [None]
    dataset = write(tmp_path / "dataset.parquet", data)
    dataset = dataset.model_copy(update={"classes": ("norht", "north", "rare", "south")})
    validation = validate(dataset, tmp_path, folds=5)
    assert validation.dataset.classes == ("north", "south")
    assert validation.reasons == {"the class has fewer samples than folds": 3, "label is missing": 1}
    assert pq.read_table(validation.quarantine)["reason"].to_pylist() == [
        *["class 'rare' has 3 samples, fewer than the 5 folds; --folds 3 keeps it"] * 3,
        "label is missing",
    ]


MERGE = "merge the class with another or remove it"
WORST = "worst is 'x2' in 26 rows (43.3%), first in source row 8"
FILL = "fill the gaps, or leave the column out with --features"


def structural(data: dict) -> dict:
    """Return changes that make the data unusable, by what is wrong."""

    def one_class():
        data["label"] = ["c1"] * 60

    def small():
        data["label"] = ["c0"] * 57 + ["c2"] * 3

    def gaps():
        for row in range(4, 30):
            data["features"][row][row % 2] = math.nan
            data["features"][row][2] = math.inf

    def small_after():
        data["label"] = ["c0"] * 55 + ["c2"] * 5
        data["features"][58][0] = math.nan

    return {change.__name__: change for change in (one_class, small, gaps, small_after)}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("one_class", "there is only one class ('c1'); finding wrong labels needs two classes or more"),
        ("small", f"class 'c2' has 3 samples, fewer than the 5 folds; use --folds 3, or {MERGE}"),
        (
            "gaps",
            f"43.3% of the rows have NaN or infinite features (tolerance 20%); {WORST}; {FILL}",
        ),
        (
            "small_after",
            f"class 'c2' has 4 samples (5 before rows were set aside), fewer than the 5 folds; use --folds 4, or {MERGE}",
        ),
    ],
)
def test_data_that_cannot_be_used_at_all_is_the_users_input_error(tmp_path, what, message):
    data = columns()
    structural(data)[what]()
    dataset = write(tmp_path / "dataset.parquet", data)
    before = files(tmp_path)
    with pytest.raises(InputError) as caught:
        validate(dataset, tmp_path, folds=5)
    assert str(caught.value) == f"people.csv: {message}"
    assert files(tmp_path) == before


def test_the_worst_features_first_row_is_found_behind_other_features(tmp_path):
    data = columns()
    data["features"][0][0] = data["features"][1][0] = math.nan
    for row in range(10, 40):
        data["features"][row][0 if row < 12 else 1] = math.nan
        data["features"][row][2] = math.nan if row > 14 else 0.0
    with pytest.raises(InputError, match=r"worst is 'x1' in 28 rows \(46\.7%\), first in source row 24;"):
        validate(write(tmp_path / "dataset.parquet", data), tmp_path, folds=5)


def test_over_the_tolerance_the_run_stops_with_the_share_the_reason_and_the_details(tmp_path):
    data = columns()
    for row in range(6, 36, 2):
        data["label"][row] = None
    data["features"][2][0] = math.nan
    dataset = write(tmp_path / "dataset.parquet", data)
    before = dataset.path.read_bytes()
    with pytest.raises(ValidationFailed) as caught:
        validate(dataset, tmp_path, folds=2)
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "people.csv: 26.7% of 60 rows fail validation (tolerance 20%); most common reason: label is missing, in 15 rows, "
        f"first in source row 12; see {tmp_path}/validation/result.json and {tmp_path}/quarantine.parquet, or allow more with --tolerance"
    )
    assert dataset.path.read_bytes() == before
    assert pq.read_metadata(tmp_path / "quarantine.parquet").num_rows == 16
    result = json.loads((tmp_path / "validation" / "result.json").read_text())
    assert (result["success"], result["quarantined"], result["rows"]) == (False, 16, 44)
    assert validate(dataset, tmp_path, folds=2, tolerance=0.3).quarantined == 16


def test_nothing_left_stops_the_run_whatever_the_tolerance(tmp_path):
    data = columns()
    dataset = write(tmp_path / "dataset.parquet", data)
    own = tmp_path / "own.json"
    own.write_text('[{"type": "expect_column_values_to_be_null", "kwargs": {"column": "age"}}]')
    with pytest.raises(
        ValidationFailed, match=r"no row is left .* age is not empty, in 60 rows, first in source row 0"
    ):
        validate(dataset, tmp_path, folds=5, tolerance=1.0, expectations=own)
    assert pq.read_metadata(tmp_path / "quarantine.parquet").num_rows == 60


@pytest.mark.parametrize(("folds", "tolerance"), [(1, 0.2), (5, -0.1), (5, 1.1), (5, math.nan)])
def test_options_out_of_range_are_refused(tmp_path, folds, tolerance):
    with pytest.raises(InputError, match=r"--folds|--tolerance"):
        validate(write(tmp_path / "dataset.parquet", columns()), tmp_path, folds=folds, tolerance=tolerance)


def test_a_file_that_is_not_what_its_record_says_is_named(tmp_path):
    dataset = write(tmp_path / "dataset.parquet", columns())
    for changed, message in [
        (dataset.model_copy(update={"rows": 61}), "60 rows where 61 were read"),
        (dataset.model_copy(update={"display_columns": ("age", "weight")}), "no column 'weight'"),
        (dataset.model_copy(update={"path": tmp_path / "gone.parquet"}), "gone.parquet: it cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            validate(changed, tmp_path, folds=5)
    table = pq.read_table(dataset.path)
    pq.write_table(table.set_column(1, "label", pa.array(range(60))), dataset.path)
    with pytest.raises(InputError, match="column 'label' is int64, not string"):
        validate(dataset, tmp_path, folds=5)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    unlabeled=st.sets(st.integers(0, 59), max_size=5),
    broken=st.sets(st.integers(0, 59), max_size=5),
    group=st.integers(1, 70),
)
def test_every_row_is_either_kept_or_in_the_quarantine_in_its_order(
    tmp_path_factory, unlabeled, broken, group
):
    folder = tmp_path_factory.mktemp("run")
    data = columns()
    for row in unlabeled:
        data["label"][row] = None
    for row in broken:
        data["features"][row][row % 3] = math.nan
    validation = validate(write(folder / "dataset.parquet", data, rows_per_group=group), folder, folds=2)
    aside = sorted(unlabeled | broken)
    kept = pq.read_table(folder / "dataset.parquet")["sample_id"].to_pylist()
    assert kept == [f"s{row}" for row in range(60) if row not in aside]
    found = pq.read_table(validation.quarantine)["sample_id"].to_pylist() if validation.quarantine else []
    assert found == [f"s{row}" for row in aside]


def test_the_result_does_not_depend_on_the_size_of_parts(tmp_path, monkeypatch):
    data = columns(200)
    data["label"][7] = data["label"][150] = None
    data["features"][90][1] = math.nan
    data["age"][120] = -4
    data["content_hash"][3] = data["content_hash"][190]
    own = tmp_path / "own.yaml"
    own.write_text("[{type: expect_column_values_to_be_between, kwargs: {column: age, min_value: 0}}]")
    found = []
    for rows in (16, 50, 10_000):
        monkeypatch.setattr(parts, "ROWS_PER_PART", rows)
        folder = tmp_path / str(rows)
        validate(write(folder / "dataset.parquet", data), folder, folds=5, expectations=own)
        found.append(files(folder))
    assert found[0] == found[1] == found[2]


MEASURE = """
import sys
from pathlib import Path
import pyarrow as pa
from tasks.records import Dataset
from tasks.validate import validate
for record in sys.argv[1:]:
    dataset = Dataset.model_validate_json(record)
    assert validate(dataset, dataset.path.parent, folds=5).quarantined == dataset.rows // 1000
    print(pa.default_memory_pool().max_memory())
"""


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    records = []
    for rows in (20_000, 160_000):
        data = pa.table(
            {
                "sample_id": [f"s{row}" for row in range(rows)],
                "label": [f"c{row % 3}" if row % 1000 else None for row in range(rows)],
                "features": pa.FixedSizeListArray.from_arrays(
                    pa.array(np.zeros(rows * 256, np.float32)), 256
                ),
                "content_hash": [f"{row:032x}" for row in range(rows)],
                "source_row": range(rows),
            }
        )
        dataset = write(tmp_path / str(rows) / "dataset.parquet", columns(3)).model_copy(
            update={"rows": rows, "feature_names": tuple(f"x{i}" for i in range(256)), "display_columns": ()}
        )
        pq.write_table(data, dataset.path, row_group_size=4096, use_dictionary=False)
        records.append(dataset.model_dump_json())
    root = Path(__file__).parents[2]
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, *records], cwd=root, check=True, capture_output=True
    ).stdout
    small, large = map(int, output.split())
    features = 160_000 * 256 * 4
    assert small > 2**20
    assert large < features / 2


def test_progress_runs_once_from_nothing_to_everything(tmp_path):
    seen = []
    with call_on_tick(lambda *counts: seen.append(counts)):
        validate(write(tmp_path / "dataset.parquet", columns()), tmp_path, folds=5)
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})
    assert seen[-1] == ("rows", 120, 120)
