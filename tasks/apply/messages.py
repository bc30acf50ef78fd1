"""A plan and a gain in words, as the command prints them and the Prefect UI shows them."""

from collections.abc import Sequence
from typing import Any

from tasks.apply.correct import Applied
from tasks.apply.gain import Gain, Measure
from tasks.apply.plan import RULES, Plan
from tasks.show.text import pluralise
from tasks.terminal import align_columns, write_one_line

# A screen of lines; what does not fit is counted.
_MOST = 12

_UNDEFINED = "– (no sample is left that nobody changed)"


def plan_text(plan: Plan) -> str:
    """Return what would change: counts, confusion given → new, drops, and what is left out."""
    outcomes = ", ".join(f"{count:,} {name}" for name, count in plan.outcomes.items()) or "none"
    lines = [f"Decisions: {outcomes}"]
    if plan.disputed:
        lines.append(
            f"           {plan.disputed:,} of them where reviewers disagree, resolved by the rule below"
        )
    if plan.known:
        lines.append(
            f"           and {pluralise(plan.known, 'sample')} with known answers, which change nothing"
        )
    lines += [f"Changes:   {pluralise(len(plan.changes), 'sample')}", ""]
    if plan.confusion:
        pairs = [(f"{old} → {new}", f"{count:,}") for (old, new), count in plan.confusion.items()]
        lines += ["Relabeled (given → new)", *_align_columns(pairs), ""]
    if plan.dropped:
        lines += [
            "Dropped",
            *_align_columns([(label, f"{count:,}") for label, count in plan.dropped.items()]),
            "",
        ]
    if plan.changes:
        after = plan.after
        counts = [
            (label, f"{plan.before.get(label, 0):,}", "→", f"{after[label]:,}")
            for label in sorted(after)
            if plan.before.get(label, 0) != after[label]
        ]
        lines += ["Samples of each class", *(_align_columns(counts) or ["  as before"]), ""]
    if plan.left_out:
        left = [(one.sample_id, f"given {one.given_label}", one.why, one.answers) for one in plan.left_out]
        lines += [f"Left out: {len(left):,}", *_align_columns(left), ""]
    lines.append(f"Rule for several reviewers: {RULES[plan.rule]}.")
    return "\n".join(lines) + "\n"


def summarise_outcome(plan: Plan, applied: Applied, gain: Gain | None) -> dict[str, Any]:
    """Return the same for programs: what the plan changes, what was written, and what it was worth.

    Args:
        applied: What became of it; no version where nothing was written.
        gain: The measured gain, if it was measured.
    """
    return {
        "decisions": plan.outcomes,
        "changes": len(plan.changes),
        "confusion": [
            {"given": old, "new": new, "samples": count} for (old, new), count in plan.confusion.items()
        ],
        "dropped": plan.dropped,
        "classes": {
            label: {"before": plan.before.get(label, 0), "after": count}
            for label, count in sorted(plan.after.items())
        },
        "left_out": [
            {"sample_id": each.sample_id, "why": each.why, "answers": each.answers} for each in plan.left_out
        ],
        "rule": plan.rule,
        "folder": str(applied.folder) if applied.folder else None,
        "layout": str(applied.layout) if applied.layout else None,
        "new": applied.is_new,
        "version": applied.version.model_dump(mode="json") if applied.version else None,
        "gain": gain.model_dump(mode="json") if gain else None,
    }


def describe_gain(gain: Gain) -> str:
    """Return what the corrections were worth."""
    classes = [
        (one.label, f"{one.samples:,}", _format_points(one.accuracy), f"{-one.log_loss.gain:+.3f} nats")
        for one in gain.classes
    ]
    lines = [
        describe_worth(gain),
        "",
        f"Refitted with and without the corrections, {gain.folds} folds, seed {gain.seed}.",
        f"Judged out of fold on {gain.samples:,} {gain.basis}.",
        "",
        f"  accuracy  {_format_percent(gain.accuracy) if gain.accuracy else _UNDEFINED}",
        f"  log-loss  {_format_nats(gain.log_loss) if gain.log_loss else _UNDEFINED}",
        "",
        "By class: samples, accuracy in points (95 % interval), log-loss",
        *(_align_columns(classes) or [f"  {_UNDEFINED}"]),
    ]
    if gain.predicted is not None:
        told = gain.predicted
        share = f" ({told.came_true / told.nats:.0%} of it)".replace("%", " %") if told.nats > 0 else ""
        lines += [
            "",
            f"{told.changes:,} changes were predicted to lower the evaluation loss by {told.nats:.4f} nats;",
            f"{told.came_true:.4f} came true{share}, 95 % interval {told.low:.4f} to {told.high:.4f}.",
        ]
    if not gain.converged:
        lines += ["", "Not every fit converged: take these figures with care."]
    return "\n".join(lines) + "\n"


def describe_worth(gain: Gain) -> str:
    """Say in one line what the corrections were worth, and whether that is more than chance.

    >>> accuracy = Measure(before=0.934, after=0.932, gain=-0.002, low=-0.006, high=0.002)
    >>> gain = Gain(basis="samples that nobody changed", samples=1653, folds=5, seed=0, converged=True, accuracy=accuracy,
    ...             log_loss=None, classes=(), predicted=None, wrong_before=144, wrong_after=95)
    >>> describe_worth(gain)
    '144 wrong labels before, 95 after; accuracy on untouched samples 93.4 → 93.2 %, within noise.'
    """
    parts = []
    if gain.wrong_before is not None:
        parts.append(f"{pluralise(gain.wrong_before, 'wrong label')} before, {gain.wrong_after:,} after")
    if gain.accuracy:
        found, on = gain.accuracy, "verified" if gain.basis == "trusted labels" else "untouched"
        told = "better" if found.gain > 0 else "worse: look at the changes again"
        told = "within noise" if found.low <= 0 <= found.high else told
        parts.append(f"accuracy on {on} samples {100 * found.before:.1f} → {100 * found.after:.1f} %, {told}")
    unknown = "what the corrections are worth cannot be told: nobody left a sample as it was"
    return "; ".join(parts or [unknown]) + "."


def _format_percent(measure: Measure) -> str:
    """Write an accuracy in percent, its gain in points.

    >>> _format_percent(Measure(before=0.9, after=0.95, gain=0.05, low=0.02, high=0.08))
    '90.0 % → 95.0 %, +5.0 points (95 % interval +2.0 to +8.0)'
    """
    before, after, gain, low, high = (100 * value for value in measure.model_dump().values())
    return f"{before:.1f} % → {after:.1f} %, {gain:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def _format_points(measure: Measure) -> str:
    gain, low, high = (100 * value for value in (measure.gain, measure.low, measure.high))
    return f"{gain:+.1f} ({low:+.1f} to {high:+.1f})"


def _format_nats(measure: Measure) -> str:
    fall = f"{-measure.gain:+.4f} nats (95 % interval {-measure.high:+.4f} to {-measure.low:+.4f})"
    return f"{measure.before:.4f} → {measure.after:.4f}, {fall}"


def _align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows, at most a screen of them."""
    shown = align_columns([[write_one_line(cell) for cell in row] for row in rows[:_MOST]])
    more = [f"and {len(rows) - _MOST:,} more"] if len(rows) > _MOST else []
    return [f"  {line}" for line in (*shown, *more)]
