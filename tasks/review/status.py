"""Where the review of a run stands, without opening the page."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from tasks.queue.earlier_hashes import find_equal_hashes
from tasks.queue.open_samples import OPEN
from tasks.records import Record
from tasks.review.data_set_status import count_unsettled
from tasks.review.estimate import estimate_rate
from tasks.review.ledger import Ledger
from tasks.review.log import read_log
from tasks.review.tally import Tally, count_known, list_run_keys, tally_run
from tasks.runs.data_sets import find_short_name
from tasks.show.text import format_share, pluralise
from tasks.storage import read_parquet


class Status(Record):
    """Counts of a review; all of them are of this moment.

    Attributes:
        queue: Those that its queue asks, by state.
        earlier: Those that earlier queues of the data set asked, and that are still open.
        known: Samples with known answers that were answered, which count nowhere else.
        reviewers: Samples of the queue that each reviewer answered.
    """

    run: str
    flagged: int
    queue: Tally
    earlier: int
    known: int
    reviewers: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs, with the sums."""
        sums = {name: getattr(self.queue, name) for name in ("total", "answered", "judged", "wrong")}
        return {**self.model_dump(), "queue": self.queue.model_dump() | sums}

    def describe(self, out: str) -> str:
        """Say it in a few lines, the last of which is what to do next."""
        queue, next_step = self.queue, f"apply {self.run}"
        rest = f" of {self.flagged:,} flagged" if self.flagged != queue.total else ""
        lines = [
            f"queue:     {pluralise(queue.total, 'sample')}{rest}; {queue.todo:,} open, {queue.answered:,} answered"
        ]
        if self.earlier:
            lines.append(f"earlier:   {pluralise(self.earlier, 'sample')} of earlier queues still open")
        if queue.answered:
            lines.append(f"answers:   {queue.describe()}")
        if queue.judged:
            found = estimate_rate([True] * queue.wrong + [False] * queue.keep)
            span = f"{format_share(found.low)} to {format_share(found.high)}" if found else ""
            share = format_share(queue.wrong / queue.judged)
            lines.append(
                f"precision: {share} of the {queue.judged:,} judged labels were wrong (95 % interval {span})"
            )
        if self.reviewers:
            names = ", ".join(f"{name} {count:,}" for name, count in self.reviewers.items())
            lines.append(f"reviewers: {names}")
        if self.known:
            lines.append(
                f"checks:    {pluralise(self.known, 'sample')} with known answers answered, not counted above"
            )
        if self.earlier:
            next_step = f"review {find_short_name(self.run)}"
        elif queue.todo or queue.disagree:
            next_step = f"review {self.run}"
        lines.append(f"next:      labelsweep {next_step} --out {out}")
        return "\n".join(lines) + "\n"


def count_status(run: Path, out: Path) -> Status:
    """Count the review of a run as the decisions stand now.

    Args:
        out: The output folder, where the log is.
    """
    ledger, others = Ledger(read_log(out)), find_equal_hashes(run.parent)
    names = Counter(name for key in list_run_keys(run, ledger) for name in ledger.find_standing(key))
    earlier = run / OPEN
    flagged = read_parquet(run / "scores.parquet", columns=["flagged"])["flagged"]
    return Status(
        run=run.name,
        flagged=pc.sum(flagged).as_py() or 0,
        queue=tally_run(run, ledger, others),
        earlier=count_unsettled(earlier, ledger.list_settled(), others) if earlier.exists() else 0,
        known=count_known(ledger, run.name),
        reviewers=dict(names.most_common()),
    )
