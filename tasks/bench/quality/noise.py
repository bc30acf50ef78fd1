"""Planted label errors: pure functions from true labels to given labels, for the benchmarks.

Each kind wrongs an exact number of labels, round(rate * n), so that a setting's share of errors is what its
name says. A wrong label is always another class. The kinds differ in who is wronged, and to which class:

    uniform             anyone, to any other class
    next_class          anyone, to the class after the true one
    class_conditional   classes differ in how often and to which classes they go (a random noise matrix)
    instance_dependent  who is hard is wronged more often, to the class it is most easily taken for
    swamped             members of one class only, all to one other class

The functions of these names take features (n, d), true labels (n,), how many to wrong, and a generator. They return given
labels, (n,).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Floats, Ints
from tasks.bench.helpers import choose_names
from tasks.errors import InputError

# Beyond half of a class its true label is no longer the majority and nothing in the data says which label is
# the wrong one.
CLASS_CAP = 0.45
# Class weights within 1 : 5 and Dirichlet rows below 1 make the matrix visibly uneven: one or two confusions
# dominate a class.
CLASS_WEIGHTS = (0.3, 1.5)
ROW_CONCENTRATION = 0.5
# A logistic regression is surer than people are: at temperature 2 the odds are the square root of its odds,
# which keeps the easy samples in play (at 1 nearly every wrong label would sit on the class border).
TEMPERATURE = 2.0

# The kinds, with their rates, of benchmarks that try few.
NOISE = {"uniform": 0.1, "next_class": 0.2}

Plant = Callable[[Floats, Ints, int, np.random.Generator], Ints]


def plant(kind: str, features: Floats, labels: Ints, rate: float, seed: int) -> Ints:
    """Return given labels: `labels` with errors of one kind planted.

    Args:
        kind: One of `KINDS`.
        features: Shape (n, d); only instance-dependent errors look at them.
        labels: True labels, shape (n,), each of 0 .. C-1, at least two classes.
        rate: Share of all labels to wrong, below 1. Swamping, and class-conditional errors where needed, stop
            at `CLASS_CAP` of a class.

    Raises:
        InputError: Unknown kind, a rate outside 0 .. 1, or a single class.

    >>> labels = np.repeat(np.arange(3), 20)
    >>> given = plant("next_class", np.zeros((60, 1)), labels, rate=0.1, seed=0)
    >>> int((given != labels).sum())
    6
    """
    choose_names(kind, KINDS, "noise", "--noise")
    if not 0 <= rate < 1:
        fix = "choose one from 0 to below 1"
        raise InputError(f"a noise rate of {rate} is not a share", where="--rates", fix=fix)
    if labels.max() < 1:
        raise InputError("errors need another class to go to", fix="give labels of at least two classes")
    rng = np.random.default_rng([*kind.encode(), seed])
    return _PLANTS[kind](features, labels, round(rate * len(labels)), rng)


def plant_each(
    labels: Ints, seeds: Sequence[int], kinds: Sequence[str] = tuple(NOISE)
) -> Iterator[tuple[str, int, Ints]]:
    """Yield some kinds of `NOISE`, each with each seed: what is planted, the seed, and the given labels."""
    for kind in kinds:
        for seed in seeds:
            given = plant(kind, np.empty((len(labels), 0)), labels, NOISE[kind], seed)
            yield f"{kind.replace('_', ' ')} {NOISE[kind]:.0%}", seed, given


def uniform(_: Floats, labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Wrong `count` samples drawn at random, each to one of the other classes at random."""
    wrong, classes = rng.choice(len(labels), count, replace=False), int(labels.max()) + 1
    return _exchange(labels, wrong, (labels[wrong] + rng.integers(1, classes, count)) % classes)


def next_class(_: Floats, labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Wrong `count` samples drawn at random, each to the class after its own."""
    wrong = rng.choice(len(labels), count, replace=False)
    return _exchange(labels, wrong, (labels[wrong] + 1) % (int(labels.max()) + 1))


def class_conditional(_: Floats, labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Wrong samples by a random asymmetric noise matrix, at most `CLASS_CAP` of each class."""
    sizes = np.bincount(labels)
    classes = len(sizes)
    counts = _share_out(count, sizes, rng.uniform(*CLASS_WEIGHTS, classes))
    given = labels.copy()
    for own in range(classes):
        others = np.delete(np.arange(classes), own)
        row = rng.dirichlet(np.full(classes - 1, ROW_CONCENTRATION))
        wrong = rng.choice(np.flatnonzero(labels == own), counts[own], replace=False)
        given[wrong] = rng.choice(others, counts[own], p=row)
    return given


def _share_out(count: int, sizes: Ints, weights: Floats) -> Ints:
    """Return how many of each class to wrong: by size x weight, capped, `count` in all if that can be."""
    caps = np.floor(CLASS_CAP * sizes)
    count = min(count, int(caps.sum()))
    share = sizes * weights
    low, high = 0.0, float((caps / share).max())
    for _ in range(60):  # bisection on the scale: 60 halvings end at the precision of a float
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(middle * share, caps).sum() < count else (low, middle)
    exact = np.minimum(high * share, caps)
    counts: Ints = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")  # largest remainders first
    counts[order[: count - int(counts.sum())]] += 1
    return counts


def instance_dependent(features: Floats, labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Wrong samples that a simple model doubts, each to the class it is most easily taken for.

    A sample's weight in the draw is its out-of-fold probability of that class against the true one, at
    `TEMPERATURE`; the model is a logistic regression fitted to the true labels.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    found = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    rows, log_p = np.arange(len(labels)), np.log(np.clip(found, 1e-12, None))
    own = log_p[rows, labels].copy()
    log_p[rows, labels] = -np.inf
    rival = log_p.argmax(axis=1)
    weights = 1 / (1 + np.exp((own - log_p[rows, rival]) / TEMPERATURE))
    wrong = rng.choice(len(labels), count, replace=False, p=weights / weights.sum())
    return _exchange(labels, wrong, rival[wrong])


def swamped(_: Floats, labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Wrong members of one class, drawn at random, to one other class; at most `CLASS_CAP` of that class."""
    classes = int(labels.max()) + 1
    own = int(rng.integers(classes))
    other = (own + int(rng.integers(1, classes))) % classes
    members = np.flatnonzero(labels == own)
    wrong = rng.choice(members, min(count, int(CLASS_CAP * len(members))), replace=False)
    return _exchange(labels, wrong, other)


def distinct_rates(kind: str, labels: Ints, rates: Sequence[float]) -> Sequence[float]:
    """Return the rates that differ in effect: a swamped class that is full stays as it is.

    >>> distinct_rates("swamped", np.repeat(np.arange(10), 50), (0.02, 0.05, 0.2, 0.35))
    [0.02, 0.05]
    """
    if kind != "swamped":
        return rates
    full = CLASS_CAP * np.bincount(labels).max() / len(labels)
    return [rate for place, rate in enumerate(rates) if place == 0 or rates[place - 1] < full]


def _exchange(labels: Ints, wrong: Ints, classes: Ints | int) -> Ints:
    given = labels.copy()
    given[wrong] = classes
    return given


_PLANTS: dict[str, Plant] = {
    function.__name__: function
    for function in (uniform, next_class, class_conditional, instance_dependent, swamped)
}
KINDS = tuple(_PLANTS)
