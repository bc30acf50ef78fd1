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
from sklearn.linear_model import LogisticRegression

from tasks.bench.command import count_of
from tasks.bench.datasets import Floats, Ints, load_data, split_clean_test, standardise
from tasks.bench.quality.case import Case
from tasks.bench.quality.ours import by_consensus
from tasks.bench.quality.peers import clean_learning
from tasks.bench.tables import describe_setup, format_table
from tasks.bench.tally import ResultFile, Row, run_campaign
from tasks.errors import InputError

OURS, PEER, CHANCE = "labelsweep", "cleanlab", "random order"
# Where the curve bends, a step is half a percent of the data; beyond, all queues but the random one are flat.
SHARES = np.r_[np.arange(0, 0.20, 0.005), np.arange(0.20, 1, 0.05), 1.0]
_SHOWN = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.50, 1.0)
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
    orders = {
        OURS: by_consensus(case).score.argsort(kind="stable"),
        PEER: clean_learning(case).score.argsort(kind="stable"),
        CHANCE: np.random.default_rng(seed).permutation(len(given)),
    }
    judge = make_judge(features, test_features, data.labels[test])
    about = {"seed": seed, "samples": len(given), "tested": len(test), "wrong": int((true != given).sum())}
    for queue, order in orders.items():
        for share in SHARES:
            labels = correct(given, true, order[: round(share * len(order))])
            yield about | {"queue": queue, "share": share, "accuracy": judge(labels.tobytes())}


def correct(given: Ints, true: Ints, reviewed: Ints) -> Ints:
    """Return the labels where some samples, by their places, have been given the true ones."""
    labels = given.copy()
    labels[reviewed] = true[reviewed]
    return labels


def make_judge(features: Floats, test_features: Floats, test_labels: Ints) -> Callable[[bytes], float]:
    """Return what fits the classifier to the bytes of labels and judges it on the test samples; equal ones are fitted once."""

    @cache
    def judge(labels: bytes) -> float:
        model = LogisticRegression(max_iter=2_000).fit(features, np.frombuffer(labels, np.int64))
        return float(model.score(test_features, test_labels))

    return judge


def find_share(mean: pd.Series, goal: float = GOAL) -> float:
    """Return the first share from which a curve, accuracies by share of the data, reaches `goal` of the possible gain."""
    return float(mean.index[mean >= mean.iloc[0] + goal * (mean.iloc[-1] - mean.iloc[0])][0])


def format_curve(rows: list[Row], command: str) -> str:
    """Return the curve as a table, with what was run and what it was run on."""
    frame = pd.DataFrame(rows)
    samples, tested = frame[["samples", "tested"]].iloc[0]
    about = (
        f"Clean-test accuracy (mean over {frame['seed'].nunique()} splits, ± their deviation) against the number "
        f"of samples that a reviewer who makes no mistake has looked at. {samples:,} audited samples, "
        f"{frame['wrong'].mean():.0f} of them with a wrong label; {tested:,} test samples."
    )
    peer = (
        f"{PEER}: `CleanLearning(LogisticRegression())` on the same features, its issues first, then by label "
        f"quality. {describe_setup('scikit-learn', 'cleanlab', 'torch')}."
    )
    accuracy = frame.groupby(["share", "queue"])["accuracy"]
    mean, deviation = accuracy.mean().unstack()[frame["queue"].unique()], accuracy.std(ddof=0)
    lines = []
    for shown in _SHOWN:
        share = float(mean.index[np.abs(mean.index - shown).argmin()])
        cells = [f"{_percent(mean.at[share, q])} ± {_percent(deviation[share, q])}" for q in mean]
        lines.append([f"{round(share * samples):,}", _percent(share, 1), *cells])
    goals = [_percent(find_share(mean[queue]), 1) for queue in mean]
    lines.append([f"**share for {_percent(GOAL, 0)} of the possible gain**", "", *goals])
    table = format_table(["reviewed", "share", *mean], lines, words=0)
    return f"# `{command}`\n\n{about}\n\n{table}\n{peer}\n"


def _percent(share: float, digits: int = 2) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def run_gain(
    *,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="data set with errors of its own")
    ] = "digits_bundled",
    seeds: Annotated[int, count_of("splits into audited and test samples")] = 10,
) -> None:
    """What looking at samples buys, in the order of our queue and of others."""
    if seeds < 1:
        raise InputError("at least one split", where="--seeds", fix="give a whole number from 1")
    splits = {f"split {seed + 1}": seed for seed in range(seeds)}
    rows = run_campaign(splits, lambda seed, _: play_reviewer(data, seed), ResultFile())
    sys.stdout.write(format_curve(rows, f"labelsweep bench review --data {data} --seeds {seeds}"))
