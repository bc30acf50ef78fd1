"""What corrections are worth: the same model, folds and seeds, fitted with and without them.

Judged on samples that the corrections did not touch: those with verified labels where the data set has them,
otherwise every sample that nobody changed, out of fold. What is left of wrong labels among the latter counts
against both fits alike.

The audit predicted it, too. To first order, giving sample i the weight that it has in a mean over n samples,
1/n, moves the mean evaluation loss by -I_i/n (Koh and Liang 2017, equation 2, in this project's sign). A
relabel replaces one label by another, -(I_i(new) - I_i(given))/n = -relabel_gain_i/n; a drop takes the sample
out, +I_i/n. Their sum is set beside the loss that the refit really lost on the same kind of evaluation:
untouched samples, weighted by the squared probability of their label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.apply.bootstrap import mean_interval
from tasks.apply.correct import Applied, apply_plan
from tasks.apply.plan import Plan
from tasks.apply.refit import judge_of, refit
from tasks.arrays import Array
from tasks.queue.rows import find_rows
from tasks.records import Record
from tasks.runs.finished import read_audit_options, read_dataset
from tasks.storage import read_json, read_parquet, write_json

GAIN = "gain.json"
Basis = Literal["trusted labels", "samples that nobody changed"]

# Verified labels alone judge from this many on: below, their interval is wider than any gain to be expected.
ENOUGH_TRUSTED = 50


class Measure(Record):
    """A measure before and after, and the improvement (positive = better) with its 95 % interval."""

    before: float
    after: float
    gain: float
    low: float
    high: float


class ClassGain(Record):
    """The gain on the samples of one class."""

    label: str
    samples: int
    accuracy: Measure
    log_loss: Measure


class Predicted(Record):
    """The predicted fall of the mean evaluation loss in nats, and the one that came true.

    `changes` counts the changes that the prediction speaks of: relabels as suggested, and drops.
    """

    changes: int
    nats: float
    came_true: float
    low: float
    high: float


class Gain(Record):
    """What the corrections of one version are worth.

    `accuracy` and `log_loss` are None where no sample is left to judge by: somebody changed every one.
    """

    basis: Basis
    samples: int
    folds: int
    seed: int
    converged: bool
    accuracy: Measure | None
    log_loss: Measure | None
    classes: tuple[ClassGain, ...]
    predicted: Predicted | None
    wrong_before: int | None = None
    wrong_after: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Two sets of out-of-fold probabilities over the same samples.

    Attributes:
        before: (n, C) fitted without the corrections.
        after: (n, C) fitted with them.
        labels: (n,) the labels to judge by.
        judged: (n,) bool, the samples to judge by.
    """

    before: Array
    after: Array
    labels: Array
    judged: Array
    seed: int

    def measure_accuracy(self, part: Array) -> Measure | None:
        """Compare accuracies over a part of the judged samples, (n,) bool; None where it has none."""
        rows = self.judged & part
        right = [(p.argmax(axis=1) == self.labels)[rows].astype(float) for p in (self.before, self.after)]
        return _measure(right[0], right[1], right[1] - right[0], self.seed)

    def log_loss(self, part: Array) -> Measure | None:
        """Compare mean log-losses in nats over a part of the judged samples; a lower loss is a gain."""
        rows = self.judged & part
        losses = [loss[rows] for loss in (self.measure_loss(self.before), self.measure_loss(self.after))]
        return _measure(losses[0], losses[1], losses[0] - losses[1], self.seed)

    def measure_loss(self, probabilities: Array) -> Array:
        """Return (n,) log-losses of the labels."""
        own = probabilities[np.arange(len(self.labels)), self.labels]
        return np.asarray(-np.log(np.maximum(own, np.finfo(np.float64).tiny)))


def measure_gain(run: Path, plan: Plan) -> Gain:
    """Refit with and without the corrections and compare."""
    dataset, options = read_dataset(run), read_audit_options(run)
    judge = judge_of(run, dataset.model_copy(update={"path": run / "dataset.parquet"}), options)
    ids = read_parquet(run / "dataset.parquet", columns=["sample_id"])["sample_id"].cast(pa.string())
    given = judge.model.samples.labels.cpu().numpy()
    labels, kept = _correct_labels(ids, given, plan, dataset.classes)
    untouched = kept & (labels == given)
    before, after = refit(judge, given, np.ones(len(given), dtype=bool)), refit(judge, labels, kept)
    trusted = judge.model.samples.trusted
    verified = trusted is not None and int((trusted & untouched).sum()) >= ENOUGH_TRUSTED
    judged = trusted & untouched if trusted is not None and verified else untouched
    comparison = Comparison(before.probabilities, after.probabilities, given, judged, options.seed)
    everything = np.ones(len(given), dtype=bool)
    wrong = _count_wrong_labels(run, ids, given, labels, kept, dataset.classes)
    return Gain(
        basis="trusted labels" if verified else "samples that nobody changed",
        samples=int(judged.sum()),
        folds=options.folds,
        seed=options.seed,
        converged=before.converged and after.converged,
        accuracy=comparison.measure_accuracy(everything),
        log_loss=comparison.log_loss(everything),
        classes=measure_class_gains(comparison, dataset.classes),
        predicted=_compare_prediction(run, plan, untouched, comparison),
        wrong_before=wrong[0],
        wrong_after=wrong[1],
    )


def write_and_measure_plan(
    run: Path, out: Path, plan: Plan, *, measure: bool = True, copy_images: bool = False
) -> tuple[Applied, Gain | None]:
    """Write the corrected version and measure what it is worth.

    Both are done once: the same decisions find the version and its gain where they are. A gain that was not
    measured, or a measurement that was interrupted, is caught up on.

    Args:
        copy_images: Whether a folder of images is copied with its corrections.
    """
    applied = apply_plan(run, out, plan, copy_images=copy_images)
    if applied.folder is None or not plan.changes:
        return applied, None
    path = applied.folder / GAIN
    if path.exists():
        return applied, Gain.model_validate(read_json(path))
    if not measure:
        return applied, None
    gain = measure_gain(run, plan)
    write_json(gain.model_dump(mode="json"), path)
    return applied, gain


def measure_class_gains(comparison: Comparison, classes: Sequence[str]) -> tuple[ClassGain, ...]:
    """Return the gain on each class that has judged samples."""
    found = []
    for number, label in enumerate(classes):
        part = comparison.labels == number
        samples = int((comparison.judged & part).sum())
        accuracy, log_loss = comparison.measure_accuracy(part), comparison.log_loss(part)
        if accuracy is not None and log_loss is not None:
            found.append(ClassGain(label=label, samples=samples, accuracy=accuracy, log_loss=log_loss))
    return tuple(found)


def _correct_labels(
    ids: pa.ChunkedArray, given: Array, plan: Plan, classes: Sequence[str]
) -> tuple[Array, Array]:
    """Return (n,) corrected classes, and (n,) whether the sample is still there."""
    labels, kept = given.copy(), np.ones(len(given), dtype=bool)
    number = {label: index for index, label in enumerate(classes)}
    for row, change in plan.find_changes(ids):
        # A class that the audit did not know has no place in its model.
        kept[row] = change.new_label in number
        labels[row] = number.get(change.new_label or "", given[row])
    return labels, kept


def _measure(before: Array, after: Array, improvement: Array, seed: int) -> Measure | None:
    interval = mean_interval(improvement, seed)
    if interval is None:
        return None
    return Measure(before=float(before.mean()), after=float(after.mean()), **interval._asdict())


def _compare_prediction(run: Path, plan: Plan, untouched: Array, comparison: Comparison) -> Predicted | None:
    """Set the gain that the audit predicted beside the one that came."""
    names = ["sample_id", "suggested_label", "relabel_gain", "influence_raw"]
    rows = find_rows(run / "scores.parquet", "sample_id", plan.by_sample, names).to_pylist()
    parts = [part for row in rows if (part := _predict_change(row, plan)) is not None]
    if not parts or not untouched.any():
        return None
    trust = comparison.before[np.arange(len(untouched)), comparison.labels][untouched] ** 2
    fall = (comparison.measure_loss(comparison.before) - comparison.measure_loss(comparison.after))[untouched]
    interval = mean_interval(trust * fall / trust.mean(), comparison.seed) if trust.any() else None
    if interval is None:  # no label is believed at all: nothing weighs
        return None
    return Predicted(
        changes=len(parts),
        nats=sum(parts) / len(untouched),
        came_true=interval.gain,
        low=interval.low,
        high=interval.high,
    )


def _predict_change(row: Mapping[str, object], plan: Plan) -> float | None:
    """Return what the audit predicted of one change; None where it predicted nothing."""
    change = plan.by_sample[str(row["sample_id"])]
    if change.new_label is None:
        return -float(str(row["influence_raw"]))
    return float(str(row["relabel_gain"])) if change.new_label == row["suggested_label"] else None


def _count_wrong_labels(
    run: Path, ids: pa.ChunkedArray, given: Array, labels: Array, kept: Array, classes: Sequence[str]
) -> tuple[int | None, int | None]:
    """Count wrong labels before and after, where the truth is known; it judges, and enters nothing else.

    A true label that is not a class of the data is known, and the given one wrong; a missing one says nothing.
    """
    path = run / "truth.parquet"
    if not path.exists():
        return None, None
    table = read_parquet(path, columns=["sample_id", "true_label"])
    place = pc.index_in(ids, value_set=table["sample_id"].cast(pa.string()).combine_chunks())
    names = table["true_label"].cast(pa.string()).take(place)
    known = names.is_valid().to_numpy(zero_copy_only=False)
    truth = pc.fill_null(pc.index_in(names, value_set=pa.array(classes, pa.string())), -1).to_numpy()
    return int((known & (truth != given)).sum()), int((known & kept & (truth != labels)).sum())
