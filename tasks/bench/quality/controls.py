"""What the planted controls estimate, beside the truth: `labelsweep bench quality --controls`.

A setting is audited, some of its labels are flipped on purpose and it is audited again, as every run does. What that says
of recall, precision and the share of wrong labels is compared with what the planted errors make true, and so is the noise
matrix: of each class the share of wrong labels, with an interval over resampled data.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import betabinom

from tasks.arrays import Array
from tasks.bench.datasets import Ints
from tasks.bench.quality.campaign import AS_SHIPPED, Results, Setting, named, prepare
from tasks.bench.tables import markdown
from tasks.bench.tally import Row

METHOD = "controls"
CONFIDENCE = 0.90
GOAL = 0.85
RESAMPLES = 60

QUANTITIES = {
    "recall": "recall of what is flagged",
    "precision": "precision of what is flagged",
    "noise_rate": "share of wrong labels",
    "class_rate": "share of wrong labels, of each class (noise matrix)",
}


def judge_controls(setting: Setting, seed: int) -> Row:
    """Return estimates and truth of one setting."""
    from tasks.attribute import AuditOptions, audit  # noqa: PLC0415 (imports torch)
    from tasks.controls.shadow import estimate_quality  # noqa: PLC0415

    cell = prepare(setting, seed)
    features, given, wrong = cell.case.features, cell.case.labels, cell.labels != cell.case.labels
    options = AuditOptions(seed=seed, device="cpu")
    found = audit(features, given, options)
    quality = estimate_quality(features, given, found, options, confidence=CONFIDENCE)
    flagged = found.flagged
    truth = {
        "recall": float(flagged[wrong].mean()),
        "precision": float(wrong[flagged].mean()) if flagged.any() else None,
        "noise_rate": float(wrong.mean()),
    }
    row: Row = {
        **named(setting, seed),
        "method": METHOD,
        "planted": quality.planted,
    }
    for name, value in truth.items():
        if (estimate := getattr(quality, name)) is not None:
            row[name] = [estimate.estimate, estimate.low, estimate.high, value]
    row["class_rate"] = _class_rates(found.probabilities, given, cell.labels)
    return row


def _class_rates(probabilities: Array, given: Ints, labels: Ints) -> list[list[float]]:
    """Return for each true class the estimated share of wrong labels, its interval, and the true share."""
    import torch  # noqa: PLC0415 (seconds)

    from tasks.attribute.noise import SHARPNESS, noise_matrix  # noqa: PLC0415

    belief = SHARPNESS * torch.from_numpy(probabilities.astype(np.float64)).clamp_min(1e-300).log()
    y = torch.from_numpy(given)
    generator, n = np.random.default_rng(0), len(given)

    def rates(rows: Array) -> Array:
        some = torch.from_numpy(rows)
        diagonal: Array = noise_matrix(belief[some], y[some]).exp().diagonal().numpy()
        return 1 - diagonal

    estimate = rates(np.arange(n))
    drawn = np.stack([rates(generator.integers(n, size=n)) for _ in range(RESAMPLES)])
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(drawn, tails, axis=0)
    # The share among the samples of the class that there are, around the rate that they were drawn with.
    size = np.bincount(given, minlength=len(estimate))
    own = [
        betabinom.ppf(tail, size, estimate * size + 0.5, (1 - estimate) * size + 0.5) / size for tail in tails
    ]
    low, high = np.minimum(low, own[0]), np.maximum(high, own[1])
    true = [float((given != labels)[labels == c].mean()) for c in range(len(estimate))]
    return [[float(v) for v in values] for values in zip(estimate, low, high, true, strict=True)]


def run_controls(grid: Iterable[Setting], seeds: int, results: Results) -> Iterator[str]:
    """Compute what `results` lacks, one seed of every setting before the next; yield each cell's name."""
    settings = [setting for setting in grid if setting.noise != AS_SHIPPED]
    known = results.known()
    todo = [(s, seed) for seed in range(seeds) for s in settings if (s.name, seed, METHOD) not in known]
    for number, (setting, seed) in enumerate(todo, 1):
        results.add(judge_controls(setting, seed))
        yield f"{number}/{len(todo)} {setting.name} seed {seed}"


def measured(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one line for each estimate that was compared with a truth."""
    lines = []
    for row in rows:
        for name in QUANTITIES:
            values = row[name] if name == "class_rate" else [row[name]]
            for estimate, low, high, truth in values:
                if truth is None:
                    continue
                about = {key: row[key] for key in ("setting", "data", "noise", "rate", "half", "seed")}
                within = low <= truth <= high
                compared = {"estimate": estimate, "truth": truth, "width": high - low, "within": within}
                lines.append(about | {"quantity": name} | compared)
    return pd.DataFrame(lines)


def document(rows: Sequence[Row]) -> str:
    """Return the tables as markdown: each half of the settings apart."""
    frame = measured(rows)
    parts = []
    for half, title in {"develop": "the half to develop on", "final": "the half looked at last"}.items():
        part = frame[frame["half"] == half]
        if len(part):
            counts = f"{part['setting'].nunique()} settings, {part['seed'].nunique()} seeds"
            parts += [f"## {title.capitalize()}: {counts}\n", _overview(part)]
            for by, name in (("noise", "kind of error"), ("rate", "share of errors"), ("data", "data set")):
                parts += [f"### Intervals that contain the truth, by {name}\n", _breakdown(part, by)]
    return "\n".join([*parts, LEGEND])


LEGEND = f"""\
Within: share of the intervals of {CONFIDENCE:.0%} that contain the truth; the goal is {GOAL:.0%}. Error: mean distance of
the estimate from the truth. Bias: mean of estimate minus truth. Width: of the interval. The row of the noise matrix counts
each class of each setting.
"""


def _overview(frame: pd.DataFrame) -> str:
    rows = []
    for name, title in QUANTITIES.items():
        part = frame[frame["quantity"] == name]
        off = part["estimate"] - part["truth"]
        figures = (off.abs().mean(), off.mean(), part["width"].mean())
        rows.append([title, f"{part['within'].mean():.0%}", *(f"{value:.3f}" for value in figures)])
    return markdown(["estimate", "within", "error", "bias", "width"], rows)


def _breakdown(frame: pd.DataFrame, by: str) -> str:
    table = frame.pivot_table(index="quantity", columns=by, values="within", aggfunc="mean").loc[
        list(QUANTITIES)
    ]
    names = [f"{value:.0%}" if by == "rate" else str(value) for value in table.columns]
    rows = [[title, *(f"{value:.0%}" for value in table.loc[name])] for name, title in QUANTITIES.items()]
    return markdown(["", *names], rows)
