import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decided_run import decide, decide_by_truth, truth_of

from tasks.apply.bootstrap import mean_interval
from tasks.apply.correct import plan_for
from tasks.apply.gain import (
    GAIN,
    Comparison,
    Gain,
    _count_wrong_labels,
    measure_class_gains,
    measure_gain,
    write_and_measure_plan,
)
from tasks.apply.messages import describe_gain
from tasks.review.log import Decision, DecisionLog, log_path
from tasks.review.queue import load_queue
from tasks.storage import finish_run, read_json, write_json, write_table


@pytest.fixture(scope="module")
def reviewed(audited: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Gain]:
    """Everything reviewed without a mistake, applied, and measured."""
    out = Path(shutil.copytree(audited, tmp_path_factory.mktemp("reviewed") / "data", symlinks=True))
    run = out / "runs" / "digits-run"
    decide_by_truth(out, run)
    applied, gain = write_and_measure_plan(run, out, plan_for(run, out))
    assert applied.folder is not None
    assert gain is not None
    return out, applied.folder, gain


def test_right_corrections_gain_accuracy_and_log_loss_beyond_chance(reviewed):
    _, _, gain = reviewed
    assert gain.basis == "samples that nobody changed"
    for measure in (gain.accuracy, gain.log_loss):
        assert measure.low <= measure.gain <= measure.high
    assert math.isclose(gain.accuracy.gain, gain.accuracy.after - gain.accuracy.before, abs_tol=1e-12)
    assert math.isclose(gain.log_loss.gain, gain.log_loss.before - gain.log_loss.after, abs_tol=1e-12)
    assert gain.log_loss.low > 0
    assert gain.converged


def test_the_gain_is_given_for_each_class(reviewed):
    _, _, gain = reviewed
    assert [one.label for one in gain.classes] == [str(digit) for digit in range(10)]
    assert sum(one.samples for one in gain.classes) == gain.samples
    mean = sum(one.samples * one.log_loss.gain for one in gain.classes) / gain.samples
    assert math.isclose(mean, gain.log_loss.gain, rel_tol=1e-9)


def test_it_says_how_much_of_the_predicted_gain_came_true(reviewed):
    out, folder, gain = reviewed
    told = gain.predicted
    assert told is not None
    scores = pq.read_table(out / "runs" / "digits-run" / "scores.parquet").to_pandas().set_index("sample_id")
    changes = pq.read_table(folder / "changes.parquet").to_pandas().set_index("sample_id")
    as_suggested = changes[changes["new_label"] == scores["suggested_label"].reindex(changes.index)].index
    assert told.changes == len(as_suggested)
    assert math.isclose(told.nats, scores.loc[as_suggested, "relabel_gain"].sum() / gain.samples, rel_tol=0.2)
    assert told.low <= told.came_true <= told.high
    assert told.came_true > 0
    assert f"{told.came_true / told.nats:.0%}".replace("%", " %") in describe_gain(gain)


def test_the_truth_counts_wrong_labels_before_and_after(reviewed):
    out, folder, gain = reviewed
    truth = truth_of(out / "runs" / "digits-run")
    for file, count in (
        (out / "runs" / "digits-run" / "dataset.parquet", gain.wrong_before),
        (folder / "dataset.parquet", gain.wrong_after),
    ):
        table = pq.read_table(file, columns=["sample_id", "label"])
        pairs = zip(table["sample_id"].to_pylist(), table["label"].to_pylist(), strict=True)
        assert sum(truth[sample] != label for sample, label in pairs) == count
    assert gain.wrong_after < gain.wrong_before


def test_samples_of_unknown_truth_count_as_neither_right_nor_wrong(tmp_path: Path):
    ids, classes = [f"s{i}" for i in range(6)], ("cat", "dog")
    truth = ["cat", "dog", None, "dog", "bird", None]
    write_table(pa.table({"sample_id": ids[::-1], "true_label": truth[::-1]}), tmp_path / "truth.parquet")
    given, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 1, 1])
    kept = np.array([True] * 5 + [False])
    assert _count_wrong_labels(tmp_path, pa.chunked_array([ids]), given, labels, kept, classes) == (2, 1)


def test_the_gain_is_kept_with_the_version_and_not_measured_twice(reviewed):
    out, folder, gain = reviewed
    assert Gain.model_validate(read_json(folder / GAIN)) == gain
    written = (folder / GAIN).stat().st_mtime_ns
    run = out / "runs" / "digits-run"
    applied, again = write_and_measure_plan(run, out, plan_for(run, out))
    assert (applied.is_new, again) == (False, gain)
    assert (folder / GAIN).stat().st_mtime_ns == written


def test_wrong_corrections_are_reported_as_a_loss(run: Path, out: Path):
    clean = pq.read_table(run / "dataset.parquet", columns=["sample_id", "content_hash", "label"]).to_pylist()
    log = DecisionLog(log_path(out))
    log.append(
        [
            Decision(
                sample_id=row["sample_id"],
                content_hash=row["content_hash"],
                given_label=row["label"],
                decision="relabel",
                new_label=str((int(row["label"]) + 1) % 10),
                reviewer="Careless",
                run=run.name,
            )
            for row in clean[::6]
        ]
    )
    log.close()
    gain = measure_gain(run, plan_for(run, out))
    assert gain.log_loss.high < 0
    assert gain.wrong_after > gain.wrong_before


def test_verified_labels_judge_where_there_are_enough(run: Path, out: Path):
    table = pq.read_table(run / "dataset.parquet")
    verified = pa.array(np.arange(len(table)) % 4 == 0)
    write_table(table.append_column("trusted", verified), run / "dataset.parquet")
    record = read_json(run / "steps" / "ingest.json")
    record["record"]["trusted"] = True
    write_json(record, run / "steps" / "ingest.json")
    finish_run(run)
    item = load_queue(run).items[0]
    decide(out, run, [(item.sample_id, "Ada", "suggestion")])
    gain = measure_gain(run, plan_for(run, out))
    changed = {item.sample_id}
    untouched = [
        s
        for s, v in zip(table["sample_id"].to_pylist(), verified.to_pylist(), strict=True)
        if v and s not in changed
    ]
    assert gain.basis == "trusted labels"
    assert gain.samples == len(untouched)


def test_without_a_sample_to_judge_by_the_gain_is_undefined_and_not_zero():
    probabilities = np.full((4, 2), 0.5)
    nobody = np.zeros(4, dtype=bool)
    comparison = Comparison(probabilities, probabilities, np.array([0, 1, 0, 1]), nobody, seed=0)
    everything = ~nobody
    gain = Gain(
        basis="samples that nobody changed",
        samples=0,
        folds=5,
        seed=0,
        converged=True,
        accuracy=comparison.measure_accuracy(everything),
        log_loss=comparison.log_loss(everything),
        classes=measure_class_gains(comparison, ("cat", "dog")),
        predicted=None,
    )
    assert (gain.accuracy, gain.log_loss, gain.classes) == (None, None, ())
    assert describe_gain(gain).count("– (no sample is left that nobody changed)") == 3


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for number in range(80):
        interval = mean_interval(rng.choice([-1.0, 0.0, 1.0], size=100, p=[0.1, 0.7, 0.2]), seed=number)
        hits += interval.low <= 0.1 <= interval.high
    assert 70 <= hits < 80  # 95 % of 80 is 76; three standard deviations are 6
