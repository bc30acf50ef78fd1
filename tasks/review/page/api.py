"""What the page's script asks for: the order of the queue, and decisions. JSON in, JSON out."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.review.deck import Item
from tasks.review.desk import Answer, Desk, Filter
from tasks.review.log import MAX_COMMENT, Decision
from tasks.review.page.room import Room

router = APIRouter(prefix="/api")

# Times beyond a quarter of an hour are pauses, not work; the script stops its clock while the page is hidden.
_MAX_SECONDS = 900.0

# A row of the log, 0 before the first; SQLite numbers no further.
Row = Annotated[int, Field(ge=0, lt=2**63)]


class _Answered(BaseModel):
    model_config = ConfigDict(extra="forbid")

    decision: Literal["keep", "relabel", "suggestion", "drop", "unsure"]
    new_label: str | None = None
    comment: str = Field("", max_length=MAX_COMMENT)
    seconds: float | None = Field(None, ge=0)
    seen: bool = False
    action: str = Field(min_length=8, max_length=64)
    since: Row = 0

    def answer(self, share: int = 1) -> Answer:
        """Return the answer; the time of a selection is shared by its samples."""
        spent = None if self.seconds is None else round(min(self.seconds, _MAX_SECONDS) / max(share, 1), 2)
        return Answer(self.decision, self.new_label, self.comment.strip(), spent, self.seen, self.action)


class OneDecision(_Answered):
    """An answer for one sample; `check` says which one was seen."""

    position: int
    check: str


class ManyDecisions(_Answered):
    """An answer for a selection: positions, or everything that a filter finds."""

    positions: list[int] | None = None
    filter: Filter | None = None
    expected: int


class Undo(BaseModel):
    """Take back my last action."""

    action: str = Field(min_length=8, max_length=64)
    since: Row = 0


def room_of(request: Request) -> Room:
    """Return what the routes share."""
    room: Room = request.app.state.room
    return room


def reviewer_of(request: Request) -> str:
    """Return who is asking; a decision needs a name."""
    name = room_of(request).who(request)
    if not name:
        raise HTTPException(403, "tell the page your name first")
    return name


def filter_of(request: Request) -> Filter:
    """Return the filter in an address; empty fields of a form are no wish."""
    values = {
        name: value for name, value in request.query_params.items() if name in Filter.model_fields and value
    }
    try:
        return Filter.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{first['loc'][0]}: {first['msg']}") from error


Wanted = Annotated[Filter, Depends(filter_of)]


@router.get("/order")
def order(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Return the positions that a filter finds, in order, and which of them others have open."""
    desk, name = room_of(request).desk, reviewer_of(request)
    desk.refresh()
    return {
        "order": [item.position for item in desk.select(wanted, name)],
        **_news(desk, name, desk.ledger.seq),
    }


@router.get("/progress")
def progress(request: Request, since: Row = 0) -> dict[str, Any]:
    """Return how far the review is, and what others decided since a row of the log."""
    desk, name = room_of(request).desk, reviewer_of(request)
    desk.refresh()
    return _news(desk, name, since)


@router.post("/decide")
def decide(request: Request, sent: OneDecision) -> dict[str, Any]:
    """Write one decision; the answer is sent when it is on the disk."""
    desk, name = room_of(request).desk, reviewer_of(request)
    item = _item(desk, sent.position)
    if item.check != sent.check:
        raise HTTPException(409, "the queue has changed: reload the page")
    rows = desk.decide([item], sent.answer(), name)
    return {**_saved(rows), **_news(desk, name, sent.since)}


@router.post("/decide-many")
def decide_many(request: Request, sent: ManyDecisions) -> dict[str, Any]:
    """Write the same answer for a selection, if it still is the number of samples that was shown."""
    desk, name = room_of(request).desk, reviewer_of(request)
    desk.refresh()
    if sent.filter is not None:
        items = desk.select(sent.filter, name)
    else:
        items = [_item(desk, position) for position in dict.fromkeys(sent.positions or [])]
    repeated = bool(desk.log.rows_of(sent.action))
    if len(items) != sent.expected and not repeated:
        raise HTTPException(
            409, f"the filter now finds {len(items)} samples, not {sent.expected}: look again"
        )
    if not items and not repeated:
        raise HTTPException(409, "nothing is selected")
    rows = desk.decide(items, sent.answer(len(items)), name)
    return {**_saved(rows), **_news(desk, name, sent.since)}


@router.post("/undo")
def undo(request: Request, sent: Undo) -> dict[str, Any]:
    """Take back the reviewer's last action."""
    desk, name = room_of(request).desk, reviewer_of(request)
    rows, items = desk.undo(name, sent.action)
    return {**_saved(rows), "positions": [item.position for item in items], **_news(desk, name, sent.since)}


def _item(desk: Desk, position: int) -> Item:
    if not 0 <= position < len(desk.deck.items):
        raise HTTPException(404, "no such sample in this queue")
    return desk.deck.items[position]


def _saved(rows: list[Decision]) -> dict[str, Any]:
    return {"rows": len(rows), "row": rows[-1].seq if rows else None, "time": rows[-1].time if rows else None}


def _news(desk: Desk, name: str, since: int) -> dict[str, Any]:
    """Return the figures of the page, and the positions whose state others have changed."""
    with desk.lock:
        standing = desk.standing()
        return {
            "seq": desk.ledger.seq,
            "total": len(desk.deck.items),
            "todo": desk.board.todo(name),
            "busy": sorted(desk.busy(name)),
            "changed": desk.changed(since, name),
            "running": standing.running._asdict() if standing.running else None,
            "left": standing.left._asdict() if standing.left else None,
            "outlook": standing.outlook._asdict() if standing.outlook else None,
            "disagreements": desk.board.disagreements,
        }
