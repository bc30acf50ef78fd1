"""Data with planted errors, and a stopwatch that reads the wall clock and the processor's."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from tasks.arrays import Array

R = TypeVar("R")

# Centres this far apart, in standard deviations of the noise around them, whatever the number of features: a linear head is
# right for about nine samples in ten.
APART = 3.5
ERRORS = 0.08


@dataclass(frozen=True)
class NoisyData:
    """Gaussian classes with uniform label errors.

    Attributes:
        features: (n, d) float32.
        given: (n,) labels, some of them wrong.
        truth: (n,) labels.
        centres: (C, d) of the classes.
    """

    features: Array
    given: Array
    truth: Array
    centres: Array

    def precision(self, score: Array) -> str:
        """Return the average precision of finding the wrong labels, lowest score first, for a table."""
        return f"{average_precision_score(self.given != self.truth, -score):.4f}"


def draw_noisy_data(n: int, d: int, classes: int, seed: int = 0, centres: Array | None = None) -> NoisyData:
    """Draw a data set, around the centres of an earlier one if they are given.

    >>> drawn = draw_noisy_data(1_000, 4, 3)
    >>> drawn.features.shape, round(float((drawn.given != drawn.truth).mean()), 2)
    ((1000, 4), 0.08)
    """
    generator = np.random.default_rng(seed)
    if centres is None:
        centres = generator.normal(size=(classes, d)).astype(np.float32) * np.float32(APART / np.sqrt(d))
    truth = generator.permutation(np.arange(n) % classes)
    features = generator.standard_normal(size=(n, d), dtype=np.float32) + centres[truth]
    given = truth.copy()
    wrong = generator.choice(n, round(ERRORS * n), replace=False)
    given[wrong] = (truth[wrong] + generator.integers(1, classes, size=len(wrong))) % classes
    return NoisyData(features, given, truth, centres)


class Time(NamedTuple):
    """Seconds by the clock on the wall, and of processor time, which other programs disturb less.

    Processor time is that of all threads and of programs that the work started and waited for.
    """

    wall: float
    cpu: float

    def __truediv__(self, other: "Time") -> str:
        """Return both ratios, for a table."""
        return f"{self.wall / other.wall:.1f} ({self.cpu / other.cpu:.1f})"

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s)"


def time_call(work: Callable[[], R], repeat: int = 1) -> tuple[R, Time]:
    """Return what the work returned the last time, and the shortest times of `repeat` runs."""
    times = []
    for _ in range(repeat):
        wall, cpu = _read_clocks()
        result = work()
        ended = _read_clocks()
        times.append((ended.wall - wall, ended.cpu - cpu))
    return result, Time(*map(min, zip(*times, strict=True)))


def _read_clocks() -> Time:
    """Read the clocks when a GPU, if one is in use, has finished."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    times = os.times()  # its own times come in steps of 10 ms
    cpu = time.process_time() + times.children_user + times.children_system
    return Time(time.perf_counter(), cpu)
