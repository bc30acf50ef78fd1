"""How many labels are wrong, by each way to tell it: sums over the samples, made into intervals by `tasks.controls.intervals`."""

from dataclasses import dataclass

import numpy as np

from tasks.arrays import Array
from tasks.attribute.noise import WAYS, Noise
from tasks.attribute.votes import AnyNoise


@dataclass(frozen=True)
class Way:
    """Sums of the probabilities of being wrong, of their squares, and of those of the flagged samples."""

    total: float
    squares: float
    flagged: float


@dataclass(frozen=True)
class Doubts:
    """What an audit knows of the errors of a data set.

    Attributes:
        kind: What errors depend on: `class`, `sample`, or `raters` where these say it.
        gain: Of a noise matrix over none, in nats a sample; None with raters, as are the next three.
        certainty: The gain in standard errors.
        knowledge: Gain of the models over the shares of the classes, in standard errors.
        skill: How much less the given labels are doubted than guessing would doubt them, from 0 to 1.
        ways: By the names of `tasks.attribute.noise.WAYS`; labels that a person has verified are wrong in none.
        right: Share of all labels that models predict out of fold; None with raters, and in runs before it was kept.
    """

    kind: str
    samples: int
    flagged: int
    gain: float | None
    certainty: float | None
    knowledge: float | None
    skill: float | None
    ways: dict[str, Way]
    right: float | None = None


def sum_doubts(noise: AnyNoise, wrong: Array, flagged: Array, verified: Array | None = None) -> Doubts:
    """Sum up.

    Args:
        wrong: (ways, n) probability that each label is wrong.
        flagged: (n,) bool.
        verified: (n,) bool, labels that a person has verified; None where nobody has.
    """
    known = noise if isinstance(noise, Noise) else None
    right = 1 - float(wrong[WAYS.index("differs")].mean(dtype=np.float64)) if known else None
    wrong = wrong if verified is None else np.where(verified, np.float32(0), wrong)
    ways = {
        name: Way(
            float(one.sum(dtype=np.float64)),
            float(np.square(one, dtype=np.float64).sum()),
            float(one[flagged].sum(dtype=np.float64)),
        )
        for name, one in zip(WAYS, wrong, strict=False)
    }
    return Doubts(
        kind=noise.kind,
        samples=len(flagged),
        flagged=int(flagged.sum()),
        gain=known.gain if known else None,
        certainty=known.certainty if known else None,
        knowledge=known.knowledge if known else None,
        skill=known.skill if known else None,
        ways=ways,
        right=right,
    )


def read_doubts(found: dict[str, object]) -> Doubts:
    """Return what was written as JSON.

    >>> from dataclasses import asdict
    >>> known = Doubts("class", 9, 1, 0.1, 3.0, 9.0, 0.9, {"doubted": Way(2.0, 1.0, 0.5)})
    >>> read_doubts(asdict(known)) == known
    True
    """
    ways = {name: Way(**sums) for name, sums in dict(found["ways"]).items()}  # type: ignore[call-overload]
    return Doubts(**{**found, "ways": ways})  # type: ignore[arg-type]
