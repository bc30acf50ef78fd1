"""How far a queue can be trusted, in one word with its reasons: said before any figure.

The bounds were set on 8 sets with real errors and 58 with planted ones: of the flagged labels .82 are wrong where the word is
strong, .65 where it is fair, .43 where it is weak and .28 where nobody can tell.
"""

from dataclasses import dataclass
from typing import Literal

from tasks.attribute.doubts import Doubts
from tasks.attribute.noise import ORDERING
from tasks.controls.spans import CERTAIN

Verdict = Literal["strong", "fair", "weak", "cannot tell"]

# Less skill than this and the labels are as good as random to the models.
NO_SKILL = 0.05
# Estimated share of the flagged that is wrong, and skill, from which a queue is strong or fair; and fair where errors depend on
# the sample.
STRONG, FAIR, WEAKER = (0.6, 0.1), (0.35, 0.0), (0.4, 0.25)
# An interval of the share of wrong labels that is wider than this says nothing.
WIDE = 0.5


@dataclass(frozen=True)
class Trust:
    """How far a queue can be trusted.

    Attributes:
        verdict: In a word.
        why: In a sentence.
        helps: What would make it better; empty where it is strong.
    """

    verdict: Verdict
    why: str
    helps: str


def trust_of(doubts: Doubts, spread: float = 0.0, payload: str = "") -> Trust | None:
    """Return how far the queue of an audit can be trusted; None with raters, who say it themselves.

    Args:
        doubts: What is known of the errors.
        spread: Width of the interval of the share of wrong labels.
        payload: Kind of content, for what would help.
    """
    if doubts.skill is None or doubts.certainty is None:
        return None
    verdict = _verdict(doubts, doubts.skill, doubts.certainty)
    if spread > WIDE and verdict in ("strong", "fair"):
        verdict = "weak"
    skill = (
        "the models predict the given labels no better than guessing"
        if doubts.skill < NO_SKILL
        else f"the models doubt the given labels {doubts.skill:.0%} less than guessing would"
    )
    if verdict == "cannot tell":
        why = skill
    elif doubts.kind == "class":
        why = f"{skill}, and the errors follow the classes"
    else:
        why = f"{skill}, and the errors depend on the sample, so that hard samples look wrong too"
    return Trust(verdict, why, "" if verdict == "strong" else _help(payload))


def _verdict(doubts: Doubts, skill: float, certainty: float) -> Verdict:
    if skill < NO_SKILL:
        return "cannot tell"
    if not doubts.flagged:
        return "strong" if skill >= WIDE else "fair" if skill >= WEAKER[1] else "weak"
    purity = doubts.ways[f"sharpness {ORDERING:g}"].flagged / doubts.flagged
    bounds: list[tuple[Verdict, tuple[float, float]]] = [("strong", STRONG), ("fair", FAIR)]
    if certainty <= CERTAIN:
        bounds = [("fair", WEAKER)]
    return next((word for word, (pure, able) in bounds if purity >= pure and skill >= able), "weak")


def _help(payload: str) -> str:
    """Return what would help, of what this program can use."""
    better = {
        "text": "an encoder of texts (--encoder)",
        "image": "an encoder of images (--encoder), or --model cnn",
        "embedding": "embeddings of a stronger model",
    }.get(payload, "more columns that say something of the label")
    return f"{better}, verified labels (--trusted), or several raters (--raters)"
