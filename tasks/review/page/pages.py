"""The pages that a reviewer opens, rendered on the server."""

from collections import Counter
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tasks.review.estimate import ENOUGH, WINDOW
from tasks.review.insights import agreement, reviewers_of
from tasks.review.log import MAX_REVIEWER
from tasks.review.page.api import Here, Wanted, reviewer_of, site_of
from tasks.review.page.card import ROWS
from tasks.review.page.guard import csrf_matches, set_cookie
from tasks.review.page.pictures import CACHING, Size
from tasks.review.state import Filter
from tasks.show.images import size_of
from tasks.show.text import trust_line
from tasks.show.view import EVIDENCE
from tasks.storage import read_json

router = APIRouter()

# A screen or two of thumbnails: what an eye can check before one key is pressed for all of them.
PAGE_SIZE = 120


@router.get("/")
def home() -> RedirectResponse:
    """Send the reviewer to the queue."""
    return RedirectResponse("/review", 303)


@router.get("/name")
def ask_name(request: Request, site: Here) -> HTMLResponse:
    """Ask who is reviewing."""
    return HTMLResponse(site.render("name.html", request, error="", longest=MAX_REVIEWER))


@router.post("/name")
async def take_name(request: Request, site: Here) -> Response:
    """Keep the reviewer's name in this browser."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    if not csrf_matches(request, form.get("csrf", [""])[0]):
        raise HTTPException(403, "this page is out of date: reload it")
    name = " ".join(form.get("name", [""])[0].split())
    if not name or len(name) > MAX_REVIEWER or not name.isprintable():
        error = f"Please give a name of 1 to {MAX_REVIEWER} characters."
        return HTMLResponse(site.render("name.html", request, error=error, longest=MAX_REVIEWER), 400)
    response = RedirectResponse("/review", 303)
    set_cookie(request, response, "reviewer", quote(name))
    return response


def named(request: Request) -> str:
    """Return who is asking; who has given no name is sent to the page that asks for it."""
    try:
        return reviewer_of(request)
    except HTTPException as error:
        raise HTTPException(303, headers={"location": "/name"}) from error


Named = Annotated[str, Depends(named)]


@router.get("/review")
def review(
    request: Request, site: Here, name: Named, wanted: Wanted, at: int | None = None, rank: int | None = None
) -> HTMLResponse:
    """Show one sample at a time; `rank` names one as the report does."""
    now = site.review
    now.refresh()
    if rank is not None:
        ranked = (item.position for item in site.queue.items if item.rank == rank and not item.is_control)
        at = next(ranked, None)
    found = [item.position for item in now.select(wanted, name)]
    if at is None or not 0 <= at < len(site.queue.items):
        busy = now.busy(name)
        at = next((position for position in found if position not in busy), found[0] if found else None)
    shown = None if at is None else site.queue.items[at]
    if shown is not None:
        now.open(shown, name)
    view = None if shown is None else site.view(shown, name)
    return _page("review", request, wanted=wanted, query=query_of(wanted), view=view)


@router.get("/item/{position}")
def item(request: Request, site: Here, position: int, *, ahead: bool = False) -> HTMLResponse:
    """Return one sample as a fragment of the page; `ahead` when it is only fetched in advance."""
    shown, name = site.item(position), site.who(request)
    if not name:
        raise HTTPException(404, "no such sample in this queue")
    if not ahead:
        site.review.open(shown, name)
    return HTMLResponse(site.render("sample.html", request, view=site.view(shown, name)))


@router.post("/open/{position}")
def opened(request: Request, site: Here, position: int) -> Response:
    """Note that a sample fetched in advance is now before the reviewer."""
    name = site.who(request)
    if name and 0 <= position < len(site.queue.items):
        site.review.open(site.queue.items[position], name)
    return Response(status_code=204)


@router.get("/grid")
def grid(
    request: Request, site: Here, name: Named, wanted: Wanted, page: Annotated[int, Query(ge=1)] = 1
) -> HTMLResponse:
    """Show many samples at once, grouped by given and suggested label."""
    site.review.refresh()
    found = site.review.select(wanted, name)
    everything = site.review.select(wanted.model_copy(update={"given": "", "suggested": ""}), name)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(page, pages)
    return _page(
        "grid",
        request,
        wanted=wanted,
        query=query_of(wanted),
        found=len(found),
        page=page,
        pages=pages,
        pairs=Counter((i.given, i.suggested) for i in everything).most_common(),
        link=lambda **changes: "/grid?" + query_of(wanted.model_copy(update=changes)),
        views=[site.tile(shown, name) for shown in found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]],
    )


@router.get("/insights")
def insights(request: Request, site: Here, name: Named) -> HTMLResponse:  # noqa: ARG001 (must have one)
    """Show what the decisions say: precision, errors left, the reviewers and how they agree."""
    now, items = site.review, site.queue.items
    now.refresh()
    with now.lock:
        return _page(
            "insights",
            request,
            standing=now.count(),
            waiting=now.waiting,
            reviewers=reviewers_of(items, now.ledger),
            agreements=agreement(now.ledger, [item.key for item in items]),
            enough=ENOUGH,
            window=WINDOW,
            trust=_trust(site.queue.run),
        )


def _trust(run: Path) -> str:
    """Return how far the queue of a run can be trusted, in a sentence; empty where that is not known."""
    summary = run / "summary.json"
    trust = read_json(summary).get("queue", {}).get("trust") if summary.exists() else None
    return trust_line(trust) if trust else ""


@router.get("/report")
def report(site: Here) -> Response:
    """Return the report of the run, whose cards and counts lead back here."""
    path = site.queue.run / "report.html"
    if not path.is_file():
        raise HTTPException(404, "this run has no report")
    return HTMLResponse(path.read_bytes())


@router.get("/image")
def image(site: Here, id: str, size: Size = "page") -> Response:  # noqa: A002 (the name in the address)
    """Return a sample's picture, encoded by us."""
    made = site.image(id, size)
    if made is None:
        raise HTTPException(404, "no picture that can be shown")
    return Response(made[0], media_type=made[1], headers={"cache-control": CACHING})


@router.get("/saliency/{position}")
def saliency(site: Here, position: int) -> Response:
    """Return the overlay of a sample's picture."""
    shown = site.item(position)
    picture = site.image(shown.sample_id, "page")
    overlay = site.cards.overlay(shown, size_of(picture[0])) if picture else None
    if overlay is None:
        raise HTTPException(404, "no overlay of this sample")
    return Response(overlay, media_type="image/png")


@router.get("/text/{position}")
def text(request: Request, site: Here, position: int, id: str) -> HTMLResponse:  # noqa: A002
    """Return the whole text of a sample, or of one of its neighbours, as a fragment of the page."""
    shown, name = site.item(position), site.who(request)
    near = {near["sample_id"] for kind in EVIDENCE for near in shown.evidence.get(kind, ())}
    if not name or id not in {shown.sample_id, *near}:
        raise HTTPException(404, "no such text in this queue")
    return HTMLResponse(site.cards.text(shown, id, blind=site.is_blind(shown, name)))


@router.get("/columns/{position}")
def columns(request: Request, site: Here, position: int) -> HTMLResponse:
    """Return the columns of a sample that its card leaves out, as rows of its table."""
    shown, name = site.item(position), site.who(request)
    if not name:
        raise HTTPException(404, "no such sample in this queue")
    rest = site.cards.columns(shown, slice(ROWS, None), blind=site.is_blind(shown, name))
    return HTMLResponse(site.render("columns.html", request, columns=rest, item=shown))


def _page(here: str, request: Request, **values: object) -> HTMLResponse:
    """Return a page, with what each page shows around its own content."""
    site = site_of(request)
    now, total = site.review, len(site.queue.items)
    todo = now.todo(site.who(request))
    counts = {"todo": todo, "done": total - todo, "total": total, "known": now.known}
    frame = {"here": here, "seq": now.ledger.seq, "disagreements": now.disagreements, **counts}
    html = site.render(f"{here}.html", request, **frame, **values)
    return HTMLResponse(html)


def query_of(wanted: Filter) -> str:
    """Return a filter as the query of an address, defaults left out.

    >>> query_of(Filter(state="all", low=0.5))
    'state=all&low=0.5'
    """
    return urlencode(wanted.model_dump(exclude_defaults=True, exclude_none=True))
