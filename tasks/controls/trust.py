"""How far a queue can be trusted, in one word with its reasons: said before any figure.

The bounds were set on sets with real errors and with planted ones. Which share of the flagged labels is wrong under each word
is in `docs/benchmarks.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.attribute.doubts import Doubts
from tasks.attribute.noise import INFORMED, ORDERING
from tasks.controls.intervals import CERTAIN, do_overlap

Verdict = Literal["strong", "fair", "weak", "cannot tell"]

# Estimated share of the flagged that is wrong, and skill, from which a queue is strong or fair; and fair where errors depend on
# the sample: on texts of one rater the estimate is .42 and .43 where .35 and .23 are wrong, on fair code modules .53 and above.
STRONG, FAIR, WEAKER, ABLE = (0.6, 0.1), (0.35, 0.0), (0.5, 0.25), (0.35, 0.5)
# An interval of the share of wrong labels that is wider than this says nothing.
WIDE = 0.5
# Shares above this are said with a decimal: 99 % against 99 % compares nothing, and 100 % need not be all.
MOSTLY, NEARLY_ALL = 0.9, 0.99
# Skill and share of labels predicted right above which models know the classes: they doubt a tenth of what guessing doubts. Where
# most planted labels are found too, a queue of a few hard samples is not weak.
CLEAR = 0.9


@dataclass(frozen=True)
class Trust:
    """How far a queue can be trusted.

    Attributes:
        helps: What would make it better; empty where it is strong.
    """

    verdict: Verdict
    why: str
    helps: str


def judge_trust(
    doubts: Doubts, largest: float, controls: Mapping[str, Any] | None = None, payload: str = ""
) -> Trust | None:
    """Return how far the queue of an audit can be trusted; None with raters, who say it themselves.

    Args:
        largest: Share of the labels that name the largest class.
        controls: What planted labels say, as `summary.json` has it; None without.
        payload: Kind of content, for what would help.
    """
    if doubts.skill is None or doubts.certainty is None or doubts.knowledge is None:
        return None
    share = (controls or {}).get("noise_rate")
    right = 1 - doubts.ways["differs"].total / doubts.samples if doubts.right is None else doubts.right
    is_clear = min(doubts.skill, right) > CLEAR
    verdict: Verdict = "cannot tell"
    if doubts.knowledge >= INFORMED:
        verdict = _choose_verdict(doubts, doubts.skill, doubts.certainty)
    if verdict == "fair" and do_overlap(doubts):
        verdict = "weak"
    if verdict == "weak" and is_clear and controls and 2 * controls["found"] > controls["planted"]:
        verdict = "fair"
    if share and share["high"] - share["low"] > WIDE and verdict in ("strong", "fair"):
        verdict = "weak"
    digits = 1 if right > NEARLY_ALL or min(right, largest) > MOSTLY else 0
    why = (
        f"models that have not seen a sample's label predict it for {right:.{digits}%} of the samples; "
        f"naming the largest class every time is right for {largest:.{digits}%}"
    )
    if controls and controls["planted"]:
        why += f"; {controls['found']:,} of {controls['planted']:,} labels made wrong on purpose were flagged"
    if do_overlap(doubts) and doubts.flagged:
        why += "; the flagged samples lie where classes overlap, and all of their labels may be right"
    elif doubts.kind == "sample" and verdict in ("fair", "weak"):
        why += "; the errors follow no pattern, so right labels of hard samples are flagged too"
    return Trust(verdict, why, "" if verdict == "strong" else _suggest_help(payload, is_clear=is_clear))


def _choose_verdict(doubts: Doubts, skill: float, certainty: float) -> Verdict:
    if not doubts.flagged:
        return "strong" if skill >= WIDE else "fair" if skill >= WEAKER[1] else "weak"
    purity = doubts.ways[f"sharpness {ORDERING:g}"].flagged / doubts.flagged
    bounds: list[tuple[Verdict, tuple[float, float]]] = [("strong", STRONG), ("fair", FAIR)]
    if certainty <= CERTAIN:
        bounds = [("fair", WEAKER), ("fair", ABLE)]
    return next((word for word, (pure, able) in bounds if purity >= pure and skill >= able), "weak")


def _suggest_help(payload: str, *, is_clear: bool) -> str:
    """Return what would help, of what this program can use; no better features where the models know the classes."""
    if is_clear:
        return "verified labels (--trusted) or several raters (--raters)"
    better = {
        "text": "an encoder of texts (--encoder)",
        "image": "an encoder of images (--encoder), or --model cnn",
        "embedding": "embeddings of a stronger model",
    }.get(payload, "more columns that say something of the label")
    return f"{better}, verified labels (--trusted), or several raters (--raters)"
