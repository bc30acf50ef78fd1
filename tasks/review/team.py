"""Who reviews, how far each of them is, and what each of them looks at just now."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tasks.review.ledger import make_key
from tasks.review.state import Review

# How far back the present pace is counted, long enough for a slow reviewer to show one.
RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """One reviewer.

    Attributes:
        share: Samples that are dealt to them; None for whom nothing is dealt to.
        decided: How many they have decided on in this run, controls and samples beyond the queue too.
        recent: Decisions of the last ten minutes.
        last: When they decided last, in ISO 8601; empty for who has not.
    """

    name: str
    classes: tuple[str, ...]
    share: int | None
    left: int
    decided: int
    recent: int
    last: str
    is_here: bool


def list_team(review: Review) -> list[ReviewerProgress]:
    """Return everybody who has a share, a decision or a sample open, by name."""
    with review.lock:
        rows = [row for row in review.ledger.rows() if row.run == review.queue.run_id]
        here = review.find_present()
        since = (datetime.now(UTC) - RECENT).isoformat(timespec="milliseconds")
        found = []
        for name in sorted({*review.options.shares, *(row.reviewer for row in rows), *here}):
            own = [row for row in rows if row.reviewer == name]
            found.append(
                ReviewerProgress(
                    name=name,
                    classes=review.options.shares.get(name, ()),
                    share=review.count_items(name) if name in review.options.shares else None,
                    left=review.count_open(name),
                    decided=len({make_key(row) for row in own}),
                    recent=sum(row.time >= since for row in own),
                    last=own[-1].time if own else "",
                    is_here=name in here,
                )
            )
        return found
