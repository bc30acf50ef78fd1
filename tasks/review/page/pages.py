"""The pages that a reviewer opens, rendered on the server."""

from collections import Counter
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tasks.review.desk import Filter
from tasks.review.estimate import ENOUGH, WINDOW
from tasks.review.insights import agreements_of, reviewers_of
from tasks.review.log import MAX_REVIEWER
from tasks.review.page.api import Wanted, room_of
from tasks.review.page.guard import csrf_matches, set_cookie

router = APIRouter()

# A screen or two of thumbnails: what an eye can check before one key is pressed for all of them.
PAGE_SIZE = 120


@router.get("/")
def home() -> RedirectResponse:
    """Send the reviewer to the queue."""
    return RedirectResponse("/review", 303)


@router.get("/name")
def ask_name(request: Request) -> HTMLResponse:
    """Ask who is reviewing."""
    return HTMLResponse(room_of(request).render("name.html", request, error="", longest=MAX_REVIEWER))


@router.post("/name")
async def take_name(request: Request) -> Response:
    """Keep the reviewer's name in this browser."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    if not csrf_matches(request, form.get("csrf", [""])[0]):
        raise HTTPException(403, "this page is out of date: reload it")
    name = " ".join(form.get("name", [""])[0].split())
    if not name or len(name) > MAX_REVIEWER or not name.isprintable():
        error = f"Please give a name of 1 to {MAX_REVIEWER} characters."
        return HTMLResponse(
            room_of(request).render("name.html", request, error=error, longest=MAX_REVIEWER), 400
        )
    response = RedirectResponse("/review", 303)
    set_cookie(request, response, "reviewer", quote(name))
    return response


@router.get("/review")
def review(request: Request, wanted: Wanted, at: int | None = None) -> Response:
    """Show one sample at a time."""
    room = room_of(request)
    name = room.who(request)
    if not name:
        return RedirectResponse("/name", 303)
    desk = room.desk
    desk.refresh()
    found = [item.position for item in desk.select(wanted, name)]
    if at is None or not 0 <= at < len(desk.deck.items):
        busy = desk.busy(name)
        at = next((position for position in found if position not in busy), found[0] if found else None)
    if at is not None:
        desk.open(desk.deck.items[at], name)
    page = room.render(
        "review.html",
        request,
        wanted=wanted,
        query=query_of(wanted),
        view=None if at is None else room.view(desk.deck.items[at], name),
        **_frame(request, "review"),
    )
    return HTMLResponse(page)


@router.get("/item/{position}")
def item(request: Request, position: int, *, ahead: bool = False) -> HTMLResponse:
    """Return one sample as a fragment of the page; `ahead` when it is only fetched in advance."""
    room = room_of(request)
    name = room.who(request)
    if not name or not 0 <= position < len(room.deck.items):
        raise HTTPException(404, "no such sample in this queue")
    shown = room.deck.items[position]
    if not ahead:
        room.desk.open(shown, name)
    return HTMLResponse(room.render("sample.html", request, view=room.view(shown, name)))


@router.post("/open/{position}")
def opened(request: Request, position: int) -> Response:
    """Note that a sample fetched in advance is now before the reviewer."""
    room = room_of(request)
    name = room.who(request)
    if name and 0 <= position < len(room.deck.items):
        room.desk.open(room.deck.items[position], name)
    return Response(status_code=204)


@router.get("/grid")
def grid(request: Request, wanted: Wanted, page: Annotated[int, Query(ge=1)] = 1) -> Response:
    """Show many samples at once, grouped by given and suggested label."""
    room = room_of(request)
    name = room.who(request)
    if not name:
        return RedirectResponse("/name", 303)
    room.desk.refresh()
    found = room.desk.select(wanted, name)
    page = min(page, max(1, -(-len(found) // PAGE_SIZE)))
    everything = room.desk.select(wanted.model_copy(update={"given": "", "suggested": ""}), name)
    html = room.render(
        "grid.html",
        request,
        wanted=wanted,
        query=query_of(wanted),
        found=len(found),
        page=page,
        pages=max(1, -(-len(found) // PAGE_SIZE)),
        pairs=Counter((i.given, i.suggested) for i in everything).most_common(),
        link=lambda **changes: "/grid?" + query_of(wanted.model_copy(update=changes)),
        views=[room.view(shown, name) for shown in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]],
        **_frame(request, "grid"),
    )
    return HTMLResponse(html)


@router.get("/insights")
def insights(request: Request) -> Response:
    """Show what the decisions say: precision, errors left, the reviewers and how they agree."""
    room = room_of(request)
    if not room.who(request):
        return RedirectResponse("/name", 303)
    desk = room.desk
    desk.refresh()
    with desk.lock:
        figures = {
            "standing": desk.standing(),
            "reviewers": reviewers_of(desk.deck.items, desk.ledger),
            "agreements": agreements_of(desk.deck.items, desk.ledger),
            "enough": ENOUGH,
            "window": WINDOW,
        }
    html = room.render("insights.html", request, **figures, **_frame(request, "insights"))
    return HTMLResponse(html)


@router.get("/image")
def image(request: Request, id: str) -> Response:  # noqa: A002 (the name in the address)
    """Return a sample's picture, encoded by us."""
    return _png(room_of(request).image(id))


@router.get("/saliency/{position}")
def saliency(request: Request, position: int) -> Response:
    """Return the overlay of a sample's picture."""
    room = room_of(request)
    if not 0 <= position < len(room.deck.items):
        raise HTTPException(404, "no such sample in this queue")
    return _png(room.saliency(room.deck.items[position]))


def _png(data: bytes | None) -> Response:
    if data is None:
        raise HTTPException(404, "no picture that can be shown")
    return Response(data, media_type="image/png")


def _frame(request: Request, here: str) -> dict[str, Any]:
    """Return what every page shows around its own content."""
    room = room_of(request)
    desk, name = room.desk, room.who(request)
    todo, disagreements = desk.board.todo(name), desk.board.disagreements
    total = len(desk.deck.items)
    return {
        "here": here,
        "todo": todo,
        "done": total - todo,
        "total": total,
        "disagreements": disagreements,
        "seq": desk.ledger.seq,
    }


def query_of(wanted: Filter) -> str:
    """Return a filter as the query of an address, defaults left out.

    >>> query_of(Filter(state="all", low=0.5))
    'state=all&low=0.5'
    """
    return urlencode(wanted.model_dump(exclude_defaults=True, exclude_none=True))
