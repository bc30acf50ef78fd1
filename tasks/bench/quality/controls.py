"""What the planted controls estimate, beside the truth: `labelsweep bench quality --controls`.

A setting is audited, some of its labels are flipped on purpose and it is audited again, as every run does. What that says
of recall, precision and the share of wrong labels is compared with what the planted errors make true, and so is the noise
matrix: of each class the share of wrong labels, with an interval over resampled data. The verdict stands beside the share of
the flagged labels that are wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import betabinom

from tasks.arrays import Array
from tasks.attribute import AuditOptions, audit
from tasks.attribute.noise import SHARPNESS, estimate_noise_matrix
from tasks.bench.datasets import Ints
from tasks.bench.quality.campaign import AS_SHIPPED, HALVES, Setting, prepare_cell
from tasks.bench.quality.summary import PARTS, format_verdicts, show_rate
from tasks.bench.tables import format_frame
from tasks.bench.tally import Row, run_campaign
from tasks.controls.shadow import estimate_quality
from tasks.controls.trust import judge_trust

CONFIDENCE = 0.90
GOAL = 0.85
RESAMPLES = 60

QUANTITIES = {
    "recall": "recall of what is flagged",
    "precision": "precision of what is flagged",
    "noise_rate": "share of wrong labels",
    "class_rate": "share of wrong labels, of each class (noise matrix)",
}
LEGEND = f"""\
Within: share of the intervals of {CONFIDENCE:.0%} that contain the truth; the goal is {GOAL:.0%}. Error: mean distance of
the estimate from the truth. Bias: mean of estimate minus truth. Width: of the interval. The row of the noise matrix counts
each class of each setting.
"""


def run_controls(cells: Mapping[str, tuple[Setting, int]], kept: Path | None) -> str:
    """Judge the cells with planted errors that the file lacks; return the tables of all of them."""
    planted = {f"controls of {name}": cell for name, cell in cells.items() if cell[0].noise != AS_SHIPPED}
    return make_control_tables(run_campaign(planted, lambda cell, _: [judge_controls(*cell)], kept))


def judge_controls(setting: Setting, seed: int) -> Row:
    """Return the row of a setting with one seed: estimates, their intervals, and the truth."""
    cell = prepare_cell(setting, seed)
    features, given, wrong = cell.case.features, cell.case.labels, cell.labels != cell.case.labels
    options = AuditOptions(seed=seed, device="cpu")
    found = audit(features, given, options)
    quality = estimate_quality(features, given, found, options, confidence=CONFIDENCE)
    truth = {
        "recall": float(found.flagged[wrong].mean()),
        "precision": float(wrong[found.flagged].mean()) if found.flagged.any() else None,
        "noise_rate": float(wrong.mean()),
    }
    trust = judge_trust(found.doubts, float(np.bincount(given).max() / len(given)), asdict(quality))
    row = setting.describe(seed) | {"verdict": trust.verdict if trust else "", "purity": truth["precision"]}
    for name, value in truth.items():
        if (estimate := getattr(quality, name)) is not None:
            row[name] = [estimate.estimate, estimate.low, estimate.high, value]
    return row | {"class_rate": _estimate_class_rates(found.probabilities, given, cell.labels)}


def _estimate_class_rates(probabilities: Array, given: Ints, labels: Ints) -> list[list[float]]:
    """Return for each true class the estimated share of wrong labels, its interval, and the true share."""
    belief = SHARPNESS * torch.from_numpy(probabilities.astype(np.float64)).clamp_min(1e-300).log()
    generator, n = np.random.default_rng(0), len(given)

    def rates(rows: Array) -> Array:
        matrix = estimate_noise_matrix(belief[torch.from_numpy(rows)], torch.from_numpy(given[rows]))
        return 1 - np.asarray(matrix.exp().diagonal())

    estimate = rates(np.arange(n))
    drawn = np.stack([rates(generator.integers(n, size=n)) for _ in range(RESAMPLES)])
    tails = np.array([[(1 - CONFIDENCE) / 2], [(1 + CONFIDENCE) / 2]])
    low, high = np.quantile(drawn, tails.ravel(), axis=0)
    # The share among the samples of the class that there are, around the rate that they were drawn with.
    size = np.bincount(given, minlength=len(estimate))
    least, most = betabinom.ppf(tails, size, estimate * size + 0.5, (1 - estimate) * size + 0.5) / size
    low, high = np.minimum(low, least), np.maximum(high, most)
    true = [float((given != labels)[labels == c].mean()) for c in range(len(estimate))]
    return [list(map(float, values)) for values in zip(estimate, low, high, true, strict=True)]


def list_estimates(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one line for each estimate that was compared with a truth."""
    lines = [
        {"quantity": name, "estimate": estimate, "low": low, "high": high, "truth": truth}
        | {key: row[key] for key in ("setting", "half", "seed", *PARTS)}
        for row in rows
        for name in QUANTITIES
        for estimate, low, high, truth in (row[name] if name == "class_rate" else [row[name]])
        if truth is not None
    ]
    frame = pd.DataFrame(lines)
    frame["bias"], frame["width"] = frame["estimate"] - frame["truth"], frame["high"] - frame["low"]
    frame["error"], frame["within"] = frame["bias"].abs(), frame["truth"].between(frame["low"], frame["high"])
    return frame


def make_control_tables(rows: Sequence[Row]) -> str:
    """Return the tables as markdown: each half of the settings apart."""
    parts = []
    for half, part in list_estimates(rows).groupby("half"):
        counts = f"{part['setting'].nunique()} settings, {part['seed'].nunique()} seeds"
        means = part.groupby("quantity")[["within", "error", "bias", "width"]].mean()
        means["within"] = means["within"].map("{:.0%}".format)
        parts.append(_format_quantities(means, f"{HALVES[str(half)].capitalize()}: {counts}", ".3f"))
        parts.append(format_verdicts([row for row in rows if row["half"] == half]))
        for by, name in PARTS.items():
            table = part.pivot_table(index="quantity", columns=by, values="within", aggfunc="mean")
            title = f"Intervals that contain the truth, by {name}"
            parts.append(_format_quantities(table.rename(columns=show_rate), title, ".0%"))
    return "\n".join([*parts, LEGEND])


def _format_quantities(table: pd.DataFrame, title: str, show: str) -> str:
    named = table.loc[list(QUANTITIES)].rename(index=QUANTITIES).rename_axis("estimate")
    return format_frame(named, title=title, show=show)
