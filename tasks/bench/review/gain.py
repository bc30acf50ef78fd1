"""`labelsweep bench review`: what looking at samples buys, in the order of our queue and of others.

The reviewer is played by the truth: each sample that is looked at gets its true label. After every so many samples a
classifier is fitted again on everything, corrected or not, and judged on test samples that were set aside with clean
labels. The curve runs from nothing reviewed to everything reviewed; what is between is the possible gain. The measure
under it is DataPerf's (Mazumder et al. 2023, training set cleaning): the share of the data to look at for 95 % of the gain.

The classifier is scikit-learn's logistic regression on standardised pixels, which is the base model of cleanlab alone.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression

from tasks.bench.command import count_of
from tasks.bench.datasets import Floats, Ints, load_data, split_clean_test, standardise
from tasks.bench.quality.case import Case
from tasks.bench.quality.ours import by_consensus
from tasks.bench.quality.peers import clean_learning
from tasks.bench.tables import describe_setup, format_table
from tasks.errors import InputError

OURS, PEER, CHANCE = "labelsweep", "cleanlab", "random order"
# Where the curve bends, a step is half a percent of the data; beyond, all queues but the random one are flat.
_FINE, _FINE_TO, _COARSE = 0.005, 0.20, 0.05
_SHOWN = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20, 0.50, 1.0)
GOAL = 0.95


@dataclass(frozen=True)
class Curves:
    """Clean-test accuracy by number of reviewed samples.

    Attributes:
        shares: (k,) shares of the data that were looked at.
        accuracy: Queue to (seeds, k) accuracies.
        tested: Samples with clean labels that judge.
        wrong: Mean number of wrong labels among the audited.
    """

    shares: Floats
    accuracy: dict[str, Floats]
    samples: int
    tested: int
    wrong: float

    def share_for(self, queue: str, goal: float = GOAL) -> float:
        """Return the share of the data to look at, in the order of a queue, for `goal` of the possible gain.

        Read off the mean over the seeds: the first share from which the curve reaches the goal.
        """
        mean = self.accuracy[queue].mean(axis=0)
        wanted = mean[0] + goal * (mean[-1] - mean[0])
        return float(self.shares[np.flatnonzero(mean >= wanted)[0]])


def play_reviewer(name: str, seeds: int) -> Curves:
    """Play the reviewer on one data set with the errors that it ships with.

    Args:
        name: Data set of `tasks.bench.datasets`.
        seeds: Number of splits into audited and test samples.

    Raises:
        InputError: The data set has no errors of its own.
    """
    data = load_data(name)
    if data.given is None:
        raise InputError(f"'{name}' ships with no errors", where="--data", fix="choose digits_bundled")
    steps = np.r_[np.arange(0, _FINE_TO, _FINE), np.arange(_FINE_TO, 1, _COARSE), 1.0]
    found: dict[str, list[Floats]] = {OURS: [], PEER: [], CHANCE: []}
    wrong = []
    for seed in range(seeds):
        sys.stderr.write(f"split {seed + 1} of {seeds}\n")
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
        for queue, order in orders.items():
            reviewed = [order[: round(share * len(order))] for share in steps]
            found[queue].append(follow_queue(true, given, reviewed, judge))
        wrong.append(int((true != given).sum()))
    arrays = {queue: np.stack(rows) for queue, rows in found.items()}
    return Curves(steps, arrays, len(audited), len(test), float(np.mean(wrong)))


def make_judge(features: Floats, test_features: Floats, test_labels: Ints) -> Callable[[Ints], float]:
    """Return what fits the classifier to labels and judges it on the test samples; equal labels are fitted once."""
    known: dict[bytes, float] = {}

    def judge(labels: Ints) -> float:
        key = labels.tobytes()
        if key not in known:
            model = LogisticRegression(max_iter=2_000).fit(features, labels)
            known[key] = float(model.score(test_features, test_labels))
        return known[key]

    return judge


def follow_queue(true: Ints, given: Ints, reviewed: Sequence[Ints], judge: Callable[[Ints], float]) -> Floats:
    """Return the clean-test accuracy where each of some stretches of the queue has its true labels."""
    places = np.arange(len(given))
    return np.array([judge(np.where(np.isin(places, rows), true, given)) for rows in reviewed])


def format_curve(found: Curves, command: str) -> str:
    """Return the curve as a table, with what was run and what it was run on."""
    about = (
        f"Clean-test accuracy (mean over {len(found.accuracy[OURS])} splits, ± their deviation) against the number "
        f"of samples that a reviewer who makes no mistake has looked at. {found.samples:,} audited samples, "
        f"{found.wrong:.0f} of them with a wrong label; {found.tested:,} test samples."
    )
    peer = (
        f"{PEER}: `CleanLearning(LogisticRegression())` on the same features, its issues first, then by label "
        f"quality. {describe_setup('scikit-learn', 'cleanlab', 'torch')}."
    )
    rows = []
    for share in _SHOWN:
        at = int(np.abs(found.shares - share).argmin())
        place, curves = float(found.shares[at]), [curve[:, at] for curve in found.accuracy.values()]
        cells = [f"{_percent(curve.mean())} ± {_percent(curve.std())}" for curve in curves]
        rows.append([f"{round(place * found.samples):,}", _percent(place, 1), *cells])
    goals = [_percent(found.share_for(queue), 1) for queue in found.accuracy]
    rows.append([f"**share for {_percent(GOAL, 0)} of the possible gain**", "", *goals])
    table = format_table(["reviewed", "share", *found.accuracy], rows, words=0)
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
    command = f"labelsweep bench review --data {data} --seeds {seeds}"
    sys.stdout.write(format_curve(play_reviewer(data, seeds), command))
