"""What summary.json promises."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from tasks.report import make_report, summarise
from tasks.storage import read_json, write_json, write_table

Copied = Callable[[Path], Path]


def joined(run: Path) -> dict[str, np.ndarray]:
    """Return scores, baselines and truth of a run, row by row."""
    scores = pq.read_table(run / "scores.parquet").to_pandas()
    truth = pq.read_table(run / "truth.parquet").to_pandas()
    baselines = pq.read_table(run / "baselines.parquet").to_pandas()
    frame = scores.merge(truth, on="sample_id").merge(baselines, on="sample_id")
    return {name: frame[name].to_numpy() for name in frame}


def test_summary_has_every_part_of_a_whole_run(digits_run: Path) -> None:
    summary = summarise(digits_run)
    assert set(summary) == {
        *(
            "schema_version",
            "run_id",
            "source",
            "data",
            "validation",
            "audit",
            "queue",
            "quality",
            "convergence",
            "steps",
            "versions",
        )
    }
    assert summary["run_id"] == digits_run.name
    assert summary["source"] == "sample:digits"
    assert summary["data"] | {"classes": None} == {
        "rows": 1797,
        "classes": None,
        "features": 64,
        "payload": "image",
    }
    assert summary["validation"] == {
        "rows_in": 1800,
        "quarantined": 3,
        "reasons": {"the label is missing": 2, "a feature is not finite": 1},
        "conflicting": 2,
        "duplicates": 1,
    }
    assert summary["audit"]["evaluation"] == "crossfit"
    assert summary["audit"]["folds"] == 3
    assert summary["audit"]["feature_map"] == "raw"
    assert summary["audit"]["l2"] == 0.01
    assert [step["step"] for step in summary["steps"]] == [
        "ingest",
        "validate",
        "encode",
        "fit-1",
        "attribute-1",
        "queue",
    ]
    assert set(summary["steps"][0]) == {"step", "seconds", "peak_memory_mb", "rows"}
    assert {"labelsweep", "python", "torch", "pydvl", "prefect", "great_expectations", "numpy"} <= set(
        summary["versions"]
    )


@pytest.mark.parametrize("name", ["digits_run", "plane_run", "hostile_run"])
def test_summary_is_as_its_documented_schema_says(
    name: str, copied: Copied, request: pytest.FixtureRequest
) -> None:
    schema = read_json(Path(__file__).parents[2] / "docs" / "summary.schema.json")
    written = read_json(make_report(copied(request.getfixturevalue(name))).summary)
    jsonschema.Draft202012Validator(schema).validate(written)
    assert schema["properties"].keys() >= written.keys()


def test_counts_agree_with_the_files(digits_run: Path) -> None:
    summary = summarise(digits_run)
    scores = pq.read_table(digits_run / "scores.parquet").to_pandas()
    assert summary["data"]["classes"] == scores["given_label"].value_counts().sort_index().to_dict()
    assert summary["queue"]["flagged"] == int(scores["flagged"].sum())
    assert summary["queue"]["queued"] == pq.read_metadata(digits_run / "queue.parquet").num_rows
    controls = json.loads((digits_run / "controls.json").read_text())
    assert summary["queue"]["estimated_noise_rate"] == controls["noise_rate"]["estimate"]
    assert Path(summary["queue"]["parquet"]) == digits_run / "queue.parquet"


def test_pictures_that_one_pixel_tells_apart_are_doubted_without_naming_the_pixel(
    digits_run: Path, copied: Copied
) -> None:
    folder = copied(digits_run)
    telling = [{"feature": f"pixel 12,{number}", "told": 1.0} for number in range(9)]
    write_json({"telling_features": telling}, folder / "oddities.json")
    queue = summarise(folder)["queue"]
    assert queue["untrusted"].startswith(
        "a single number of each picture tells 100.0% of what there is to tell"
    )
    assert "pixel" not in queue["untrusted"]
    assert queue["estimated_noise_rate"] is None


def test_without_controls_the_flagged_share_is_the_noise_estimate(plane_run: Path) -> None:
    flagged = pq.read_table(plane_run / "scores.parquet")["flagged"].to_numpy()
    assert summarise(plane_run)["queue"]["estimated_noise_rate"] == pytest.approx(flagged.mean())


def test_quality_agrees_with_direct_computation(digits_run: Path) -> None:
    found, data = summarise(digits_run)["quality"], joined(digits_run)
    wrong = data["given_label"] != data["true_label"]
    n = int(wrong.sum())
    assert found["n_errors"] == n == 143
    assert found["average_precision"] == pytest.approx(average_precision_score(wrong, -data["score"]))
    assert found["auroc"] == pytest.approx(roc_auc_score(wrong, -data["score"]))
    assert found["f1"] == pytest.approx(f1_score(wrong, data["flagged"]))
    assert found["precision"] == pytest.approx(precision_score(wrong, data["flagged"]))
    assert found["recall"] == pytest.approx(recall_score(wrong, data["flagged"]))
    assert found["precision_at_n"] == pytest.approx(
        wrong[np.argsort(data["score"], kind="stable")][:n].mean()
    )
    hits = wrong & data["flagged"]
    right = data["suggested_label"][hits] == data["true_label"][hits]
    assert found["suggested_right"] == pytest.approx(right.mean())
    assert set(found["baselines"]) == {"training_loss", "self_confidence", "normalized_margin"}
    for name, measures in found["baselines"].items():
        assert measures["average_precision"] == pytest.approx(average_precision_score(wrong, -data[name]))
        assert measures["auroc"] == pytest.approx(roc_auc_score(wrong, -data[name]))


def test_quality_does_not_depend_on_the_order_of_the_truth(digits_run: Path, copied: Copied) -> None:
    run = copied(digits_run)
    truth = pq.read_table(run / "truth.parquet")
    shuffled = truth.take(pa.array(np.random.default_rng(0).permutation(len(truth))))
    write_table(shuffled, run / "truth.parquet")
    assert summarise(run)["quality"] == summarise(digits_run)["quality"]


def test_samples_of_unknown_truth_do_not_count(plane_run: Path, copied: Copied) -> None:
    run, data = copied(plane_run), joined(plane_run)
    truth = pq.read_table(run / "truth.parquet")
    known = np.arange(len(truth)) % 2 == 0
    labels = pa.array(
        [label if k else None for label, k in zip(truth["true_label"].to_pylist(), known, strict=True)]
    )
    write_table(pa.table({"sample_id": truth["sample_id"], "true_label": labels}), run / "truth.parquet")
    wrong = (data["given_label"] != data["true_label"])[known]
    found = summarise(run)["quality"]
    assert found["n_errors"] == wrong.sum()
    assert found["recall"] == pytest.approx(recall_score(wrong, data["flagged"][known]))


def test_quality_is_null_without_the_truth(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    (run / "truth.parquet").unlink()
    assert summarise(run)["quality"] is None


def test_data_without_errors_has_no_ranking_to_measure(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    scores = pq.read_table(run / "scores.parquet")
    write_table(
        pa.table({"sample_id": scores["sample_id"], "true_label": scores["given_label"]}),
        run / "truth.parquet",
    )
    found = summarise(run)["quality"]
    assert found["n_errors"] == 0
    assert found["average_precision"] is None
    assert found["recall"] is None
    assert found["precision"] == 0
    assert found["undefined"] == dict.fromkeys(
        ("average_precision", "auroc", "precision_at_n", "recall", "suggested_right"),
        "no given label is wrong",
    )
    make_report(run)
    assert "No precision-recall curve: no given label is wrong." in (run / "report.html").read_text()


def test_truth_that_is_missing_everywhere_is_said(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    ids = pq.read_table(run / "scores.parquet")["sample_id"]
    unknown = pa.nulls(len(ids), pa.string())
    write_table(pa.table({"sample_id": ids, "true_label": unknown}), run / "truth.parquet")
    found = summarise(run)["quality"]
    assert set(found["undefined"].values()) == {"no sample has a true label"}
    assert "f1" in found["undefined"]


def test_controls_give_the_noise_estimate(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    controls = {
        name: {"estimate": 0.05, "low": 0.04, "high": 0.07} for name in ("recall", "precision", "noise_rate")
    }
    write_json(controls, run / "controls.json")
    queue = summarise(run)["queue"]
    assert queue["estimated_noise_rate"] == 0.05
    assert queue["controls"] == controls


def test_one_fit_that_did_not_converge_makes_the_run_not_converged(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    assert summarise(run)["convergence"]["converged"] is True
    entries = read_json(run / "model/convergence.json")
    entries["fit"][1] |= {"converged": False, "gradient_norm": 0.3}
    write_json(entries, run / "model/convergence.json")
    found = summarise(run)["convergence"]
    assert found["converged"] is False
    assert found["fit"]["not_converged"] == 1
    assert found["fit"]["gradient_norm"] == 0.3
    assert found["solve"]["not_converged"] == 0


def test_summary_file_is_what_summarise_returns_and_strict_json(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    entries = read_json(run / "model/convergence.json")
    entries["fit"][0]["gradient_norm"] = math.nan
    (run / "model/convergence.json").write_text(json.dumps(entries))
    report = make_report(run)

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    written = json.loads(report.summary.read_text(), parse_constant=refuse)
    assert written["quality"] == summarise(run)["quality"]


def test_a_moved_run_is_read_from_where_it_is(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    for path in (run / "steps").glob("*.json"):
        path.write_text(path.read_text().replace(str(plane_run), "/nowhere"))
    assert summarise(run)["quality"] == summarise(plane_run)["quality"]
    assert summarise(run)["queue"]["parquet"] == str(run / "queue.parquet")
