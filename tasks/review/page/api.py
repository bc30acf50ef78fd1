"""What the page's script asks for: the order of the queue, and decisions. JSON in, JSON out."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.review.filter import Filter
from tasks.review.log import MAX_COMMENT, Decision
from tasks.review.page.site import Site
from tasks.review.queue import Item
from tasks.review.state import Answer, Review
from tasks.review.team import ReviewerProgress, list_team

router = APIRouter(prefix="/api")

# Times beyond a quarter of an hour are pauses, not work; the script stops its clock while the page is hidden.
_MAX_SECONDS = 900.0

# A row of the log, 0 before the first; SQLite numbers no further.
Row = Annotated[int, Field(ge=0, lt=2**63)]


class Undo(BaseModel):
    """Take back my last action."""

    action: str = Field(min_length=8, max_length=64)
    since: Row = 0


class _Answered(Undo):
    model_config = ConfigDict(extra="forbid")

    decision: Literal["keep", "relabel", "suggestion", "drop", "unsure"]
    new_label: str | None = None
    comment: str = Field("", max_length=MAX_COMMENT)
    seconds: float | None = Field(None, ge=0)
    seen: bool = False

    def answer(self, share: int = 1) -> Answer:
        """Return the answer; the time of a selection is shared by its samples."""
        spent = None if self.seconds is None else round(min(self.seconds, _MAX_SECONDS) / max(share, 1), 2)
        return Answer(self.decision, self.new_label, self.comment.strip(), spent, self.seen, self.action)


class OneDecision(_Answered):
    """An answer for one sample; `check` says which one was seen, `upcoming` which ones may follow, in order."""

    position: int
    check: str
    upcoming: list[int] = Field([], max_length=20)


class ManyDecisions(_Answered):
    """An answer for a selection: positions, or everything that a filter finds."""

    positions: list[int] | None = None
    filter: Filter | None = None
    expected: int


def find_site(request: Request) -> Site:
    """Return what the routes share."""
    return request.app.state.site


def find_reviewer(request: Request) -> str:
    """Return who is asking; a decision needs a name."""
    name = find_site(request).who(request)
    if not name:
        raise HTTPException(403, "tell the page your name first")
    return name


def filter_of(request: Request) -> Filter:
    """Return the filter in an address; empty fields of a form are not a wish."""
    asked = request.query_params.items()
    values = {name: value for name, value in asked if name in Filter.model_fields and value}
    try:
        return Filter.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{first['loc'][0]}: {first['msg']}") from error


Here = Annotated[Site, Depends(find_site)]


def find_item(site: Here, position: int) -> Item:
    """Return the sample that an address names."""
    return site.item(position)


Name = Annotated[str, Depends(find_reviewer)]
Wanted = Annotated[Filter, Depends(filter_of)]
Shown = Annotated[Item, Depends(find_item)]


@router.get("/order")
def order(site: Here, name: Name, wanted: Wanted) -> dict[str, Any]:
    """Return the positions that a filter finds, in order, and which of them others have open."""
    review = site.review
    review.refresh()
    found = [item.position for item in site.finder.find(wanted, name)]
    return {"order": found, **_collect_news(review, name, review.ledger.seq)}


@router.get("/progress")
def progress(site: Here, name: Name, since: Row = 0) -> dict[str, Any]:
    """Return how far the review is, and what others decided since a row of the log."""
    site.review.refresh()
    return _collect_news(site.review, name, since)


@router.post("/decide")
def decide(site: Here, name: Name, sent: OneDecision) -> dict[str, Any]:
    """Write one decision; the answer is sent when it is on the disk."""
    item = site.item(sent.position)
    if item.check != sent.check:
        raise HTTPException(409, "the queue has changed: reload the page")
    rows = site.review.decide([item], sent.answer(), name)
    # Chosen and marked here, in one step: two reviewers who decide at the same moment would both be sent to the next.
    following = [site.item(position) for position in sent.upcoming if position != sent.position]
    taken = site.review.take([one for one in following if site.review.status(one, name) == "todo"], name)
    news = _collect_news(site.review, name, sent.since)
    return {**_describe_saved(rows), "next": None if taken is None else taken.position, **news}


@router.post("/decide-many")
def decide_many(site: Here, name: Name, sent: ManyDecisions) -> dict[str, Any]:
    """Write the same answer for a selection, if it still is the number of samples that was shown."""
    review = site.review
    review.refresh()
    if sent.filter is not None:
        items = site.finder.find(sent.filter, name)
    else:
        positions = list(dict.fromkeys(sent.positions or []))
        if not all(map(site.finder.atlas.has, positions)):
            raise HTTPException(404, "no such sample in this run")
        items = site.finder.atlas.items(positions)
    if not review.log.rows_of(sent.action):  # else this answer was written before, and is only sent again
        if len(items) != sent.expected:
            what = f"the filter now finds {len(items)} samples, not {sent.expected}: look again"
            raise HTTPException(409, what)
        if not items:
            raise HTTPException(409, "nothing is selected")
    rows = review.decide(items, sent.answer(len(items)), name)
    return {**_describe_saved(rows), **_collect_news(review, name, sent.since)}


@router.post("/undo")
def undo(site: Here, name: Name, sent: Undo) -> dict[str, Any]:
    """Take back the reviewer's last action."""
    rows, items = site.review.undo(name, sent.action)
    positions = [item.position for item in items]
    return {**_describe_saved(rows), "positions": positions, **_collect_news(site.review, name, sent.since)}


@router.get("/team")
def team(site: Here, name: Name) -> list[ReviewerProgress]:  # noqa: ARG001 (must have one)
    """Return how far each reviewer is."""
    site.review.refresh()
    return list_team(site.review)


def _describe_saved(rows: list[Decision]) -> dict[str, Any]:
    return {"rows": len(rows), "row": rows[-1].seq if rows else None, "time": rows[-1].time if rows else None}


def _collect_news(review: Review, name: str, since: int) -> dict[str, Any]:
    """Return the figures of the page, and the positions whose state others have changed."""
    with review.lock:
        standing = review.pace()
        return {
            "seq": review.ledger.seq,
            "total": review.count_items(name),
            "todo": review.count_open(name),
            "busy": sorted(review.find_busy(name)),
            "changed": review.list_changed(since, name),
            "running": standing.running,
            "left": standing.left,
            "outlook": standing.outlook,
            "disagreements": review.disagreements,
        }
