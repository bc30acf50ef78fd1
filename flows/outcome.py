"""What a finished sweep returns, and the gate on the noise that it estimates."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.errors import TooMuchNoise
from tasks.records import Record
from tasks.runs.data_sets import find_short_name
from tasks.show.text import write_trust_line
from tasks.storage import read_json

# What a run returned, in its folder: what a later one returns where nothing changed.
RESULT = "result.json"


class Cleaned(Record):
    """Where a finished run is, and what it found."""

    folder: Path
    queue: Path
    report: Path
    summary: Path
    samples: int
    quarantined: int
    flagged: int
    queued: int
    unflagged: int = 0
    still_open: int = 0
    unchanged: bool = False
    published: str | None = None

    def write_headline(self) -> str:
        """Return what a person wants to know first: the counts, and where the queue and the report are."""
        summary = read_json(self.summary)
        trust = write_trust_line(summary["queue"])
        lines = [
            *([trust] if trust else []),
            self.describe_counts(),
            *_describe_quality(summary.get("quality")),
            f"queue:  {self.queue}",
            f"report: {self.report}",
            *([f"review: {self.review_command()}"] if self.queued or self.still_open else []),
        ]
        if why := summary["queue"].get("untrusted"):
            lines.insert(lines.index(f"queue:  {self.queue}"), f"no estimate can be trusted: {why}")
        if self.published:
            lines.append(f"published: {self.published}")
        if self.unchanged:
            lines.insert(0, f"nothing changed since run {self.folder.name}; --force runs anyway")
        return "\n".join(lines) + "\n"

    def describe_counts(self) -> str:
        """Return the counts in one line."""
        share = self.flagged / max(self.samples, 1)
        others = (
            f" ({self.unflagged:,} of them not flagged, only the most doubtful)" if self.unflagged else ""
        )
        still_open = f"{self.still_open:,} still open from earlier queues, " if self.still_open else ""
        return (
            f"{self.samples:,} samples, {self.flagged:,} flagged ({share:.1%}), {self.queued:,} queued{others}, "
            f"{still_open}{self.quarantined:,} in quarantine"
        )

    def review_command(self) -> str:
        """Return what to type to review the queue, and what earlier queues left open, from any folder."""
        name = find_short_name(self.folder.name) if self.still_open else self.folder.name
        out = self.published.rpartition("/runs/")[0] if self.published else str(self.folder.parents[1])
        return f"labelsweep review {name} --out {shlex.quote(out)}"


def _describe_quality(quality: Mapping[str, Any] | None) -> list[str]:
    """Say how good the queue is, where the truth is known."""
    if not quality:
        return []
    why = quality.get("undefined", {})

    def figure(name: str, form: str) -> str:
        value = quality[name]
        return f"– ({why.get(name, 'undefined')})" if value is None else format(value, form)

    precision, f1 = figure("average_precision", ".3f"), figure("f1", ".3f")
    right = figure("suggested_right", ".1%")
    return [
        f"against the truth: average precision {precision}, F1 {f1}, suggested label right for {right}",
    ]


def read_again(folder: Path) -> Cleaned:
    """Return the result of an earlier run, which may have been moved since."""
    places = {"folder": folder, "queue": folder / "queue.csv", "report": folder / "report.html"}
    places["summary"] = folder / "summary.json"
    return Cleaned.model_validate({**read_json(folder / RESULT), **places, "unchanged": True})


def check_noise(cleaned: Cleaned, most: float | None) -> None:
    """Let a run pass unless more than `most` of its labels are wrong; None lets every run pass.

    Their share is taken as the lower end of its interval; without controls, as the estimate.

    Raises:
        TooMuchNoise: It is larger, or there is none that can be trusted.
    """
    if most is None:
        return
    summary = read_json(cleaned.summary)
    queue, is_table = summary["queue"], summary["data"]["payload"] == "tabular"
    if why := queue.get("untrusted"):
        raise TooMuchNoise(
            f"the share of wrong labels cannot be estimated (--max-noise): {why}",
            where=str(cleaned.report),
            fix=f"leave it out{' with --features' if is_table else ' of the data'}, and sweep again",
        )
    interval = queue.get("controls", {}).get("noise_rate")
    least = interval["low"] if interval else queue["estimated_noise_rate"]
    if least > most:
        how = "at least" if interval else "an estimated"
        raise TooMuchNoise(
            f"{how} {least:.1%} of the labels are wrong, more than {most:.1%} (--max-noise)",
            where=str(cleaned.report),
            fix="review the queue, apply the decisions, and sweep again",
        )
