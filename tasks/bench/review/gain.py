"""`labelsweep bench review`: what looking at samples buys, in the order of our queue and of others.

The reviewer is played by the truth: each sample that is looked at gets its true label. After every so many samples a
classifier is fitted again on everything, corrected or not, and judged on test samples that were set aside with clean
labels. The curve runs from nothing reviewed to everything reviewed; what is between is the possible gain. The measure
under it is DataPerf's (Mazumder et al. 2023, training set cleaning): the share of the data to look at for 95 % of the gain.

The classifier is scikit-learn's logistic regression on standardised pixels, which is the base model of cleanlab alone.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from tasks.bench.datasets import Floats, Ints, load_data, split_clean_test, standardise
from tasks.bench.quality.case import Case, make_regression
from tasks.bench.quality.ours import DEFAULT, list_ours
from tasks.bench.quality.peers import clean_learning
from tasks.bench.tables import describe_setup, format_table
from tasks.bench.tally import Row, run_campaign
from tasks.errors import InputError

# Where the curve bends, a step is half a percent of the data; beyond, all queues but the random one are flat.
SHARES = np.r_[np.arange(0, 0.20, 0.005), np.arange(0.20, 1, 0.05), 1.0]
SHOWN = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.50, 1.0)
GOAL = 0.95


def play_reviewer(name: str, seed: int) -> Iterator[Row]:
    """Yield the clean-test accuracy of each queue after each share of the data, for one split of a data set.

    Args:
        name: Data set of `tasks.bench.datasets`.
        seed: Of the split into audited and test samples.

    Raises:
        InputError: The data set has no errors of its own.
    """
    data = load_data(name)
    if data.given is None:
        raise InputError(f"'{name}' ships with no errors", where="--data", fix="choose digits_bundled")
    audited, test = split_clean_test(data.labels, seed)
    features, test_features = standardise(data.features[audited], data.features[test])
    true, given = data.labels[audited], data.given[audited]
    case = Case(features, given, data.classes, seed)
    ours = next(method for method in list_ours() if method.name == DEFAULT)
    orders = {
        "labelsweep": ours.judge(case).score.argsort(kind="stable"),
        "cleanlab": clean_learning(case).score.argsort(kind="stable"),
        "random order": np.random.default_rng(seed).permutation(len(given)),
    }
    judge = make_judge(features, test_features, data.labels[test])
    about = {"seed": seed, "samples": len(given), "tested": len(test), "wrong": int((true != given).sum())}
    for queue, order in orders.items():
        for share in SHARES:
            labels = correct_labels(given, true, order[: round(share * len(order))])
            yield about | {"queue": queue, "share": share, "accuracy": judge(labels.tobytes())}


def correct_labels(given: Ints, true: Ints, reviewed: Ints) -> Ints:
    """Return the labels where some samples, by their places, have been given the true ones."""
    labels = given.copy()
    labels[reviewed] = true[reviewed]
    return labels


def make_judge(features: Floats, test_features: Floats, test_labels: Ints) -> Callable[[bytes], float]:
    """Return what fits the classifier to the bytes of labels and judges it on the test samples; equal ones are fitted once."""

    @cache
    def judge(labels: bytes) -> float:
        model = make_regression().fit(features, np.frombuffer(labels, np.int64))
        return float(model.score(test_features, test_labels))

    return judge


def find_share(mean: pd.Series, goal: float = GOAL) -> float:
    """Return the first share from which a curve, accuracies by share of the data, reaches `goal` of the possible gain."""
    return float(mean.index[mean >= mean.iloc[0] + goal * (mean.iloc[-1] - mean.iloc[0])][0])


def format_curve(rows: list[Row]) -> str:
    """Return the curve as a table, with what it was run on."""
    frame = pd.DataFrame(rows)
    samples, tested = frame[["samples", "tested"]].iloc[0]
    about = (
        f"Clean-test accuracy (mean over {frame['seed'].nunique()} splits, ± their deviation) against the number "
        f"of samples that a reviewer who makes no mistake has looked at. {samples:,} audited samples, "
        f"{frame['wrong'].mean():.0f} of them with a wrong label; {tested:,} test samples."
    )
    accuracy = frame.groupby(["share", "queue"])["accuracy"]
    mean, deviation = accuracy.mean().unstack()[frame["queue"].unique()], accuracy.std(ddof=0)
    lines: list[list[object]] = []
    for share in mean.index[[np.abs(mean.index - shown).argmin() for shown in SHOWN]]:
        cells = [f"{mean.at[share, queue]:.2%} ± {deviation[share, queue]:.2%}" for queue in mean]
        lines.append([round(share * samples), f"{share:.1%}", *cells])
    goals = [f"{find_share(mean[queue]):.1%}" for queue in mean]
    lines.append([f"**share for {GOAL:.0%} of the possible gain**", "", *goals])
    table = format_table(["reviewed", "share", *mean], lines, words=0)
    peer = "cleanlab: `CleanLearning(LogisticRegression())` on the same features, its issues first, then by label quality."
    return f"{about}\n\n{table}\n{peer} {describe_setup('scikit-learn', 'cleanlab', 'torch')}.\n"


def run_gain(
    *,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="data set with errors of its own")
    ] = "digits_bundled",
    seeds: Annotated[int, typer.Option(min=1, help="splits into audited and test samples")] = 10,
) -> None:
    """What looking at samples buys, in the order of our queue and of others."""
    splits = {f"split {seed + 1}": seed for seed in range(seeds)}
    sys.stdout.write(format_curve(run_campaign(splits, lambda seed, _: play_reviewer(data, seed))))
