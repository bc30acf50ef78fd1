"""How good the queue is, by the planted controls: asked of the data themselves, without the truth."""

from typing import Any

from tasks.report.summary import Summary
from tasks.show.parts import Facts, ReportPart, Section, Table, Text
from tasks.show.text import format_share, pluralise, show_plain
from tasks.show.view import RunView

# An interval wider than this says nothing of a share.
TOLD = 0.9


def build(view: RunView, summary: Summary) -> Section | None:  # noqa: ARG001 (one signature for all sections)
    """Return the estimates and the table by depth."""
    found = summary.get("queue", {}).get("controls")
    if not found or not found.get("planted"):
        return None
    planted = pluralise(found["planted"], "label")
    if found.get("planted_groups"):
        planted += f" of {pluralise(found['planted_groups'], 'whole group')}"
    if why := summary["queue"].get("untrusted"):
        told = f"{found['found']:,} of {planted} that were flipped on purpose were flagged. That says nothing of your own errors"
        warning = Text(f"{told}: {show_plain(why, 2_000)}.", "warning")
        return Section("controls", "How good this queue is", [warning], "Controls", folded=True)
    noise = f"of all labels; {write_interval(found['noise_rate'], 1)}"
    parts: list[ReportPart] = [
        Text(
            f"In a second audit {planted} that nothing spoke against were flipped on purpose; your data were not touched. "
            "Where these landed says how much of what is wrong the queue holds, provided that the data's own errors are "
            "about as hard to find. Errors that look right to every model are in none of these figures."
        ),
        Facts(
            [
                _describe_share("Recall, estimated", found["recall"], "of the wrong labels are flagged"),
                _describe_share(
                    "Precision, estimated", found["precision"], "of the flagged labels are wrong"
                ),
                ("Wrong labels, estimated", format_share(found["noise_rate"]["estimate"], 1), noise),
            ]
        ),
    ]
    if found.get("depths"):
        rows = [
            [f"{depth['depth']:,}", format_share(depth["recall"]), format_share(depth["precision"])]
            for depth in found["depths"]
        ]
        header = ["Reviewed, from the top", "Wrong labels met", "Wrong among them"]
        caption = "What a reviewer who stops there has seen, estimated; the last row is the end of the queue"
        parts.append(Table(caption, header, rows, numeric=frozenset({1, 2})))
    return Section("controls", "How good this queue is, by planted controls", parts, "Controls", folded=True)


def is_told(share: dict[str, Any] | None) -> bool:
    """Whether an estimate says anything: there is one, and its interval leaves something out."""
    return share is not None and share["high"] - share["low"] < TOLD


def _describe_share(title: str, share: dict[str, Any] | None, remark: str) -> tuple[str, str, str]:
    """Return a share with its interval, which nobody can say where nothing is flagged, or nothing is there to find."""
    if share is None:
        return title, "–", "nothing is flagged"
    if not is_told(share):
        return title, "–", "cannot be told: the 95 % interval holds nearly every value"
    return title, format_share(share["estimate"]), f"{remark}; {write_interval(share)}"


def write_interval(share: dict[str, Any], decimals: int = 0) -> str:
    """Return the interval of an estimate in words."""
    return f"95 % interval {format_share(share['low'], decimals)} to {format_share(share['high'], decimals)}"
