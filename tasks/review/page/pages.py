"""The pages that a reviewer opens, rendered on the server."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, quote, urlencode

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from tasks.json_objects import read_object
from tasks.review.estimate import ENOUGH, WINDOW
from tasks.review.exchange.export import export_decisions
from tasks.review.filter import Filter
from tasks.review.insights import compare_reviewers, list_reviewers
from tasks.review.log import MAX_REVIEWER
from tasks.review.page.api import Here, Name, Shown, Wanted, find_reviewer, find_site
from tasks.review.page.card import ROWS
from tasks.review.page.guard import is_csrf_valid, set_cookie
from tasks.review.page.payload import CACHING, Size
from tasks.review.page.sound import TYPES, find_sound
from tasks.review.team import list_team
from tasks.show.images import measure_picture
from tasks.show.text import write_trust_line
from tasks.show.view import EVIDENCE

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
    return _render_page("name", request, error="", longest=MAX_REVIEWER)


@router.post("/name")
async def take_name(request: Request) -> Response:
    """Keep the reviewer's name in this browser."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    if not is_csrf_valid(request, form.get("csrf", [""])[0]):
        raise HTTPException(403, "this page is out of date: reload it")
    name = " ".join(form.get("name", [""])[0].split())
    if not name or len(name) > MAX_REVIEWER or not name.isprintable():
        error = f"Please give a name of 1 to {MAX_REVIEWER} characters."
        again = _render_page("name", request, error=error, longest=MAX_REVIEWER)
        again.status_code = 400
        return again
    response = RedirectResponse("/review", 303)
    set_cookie(request, response, "reviewer", quote(name))
    return response


def named(request: Request) -> str:
    """Return who is asking; who has given no name is sent to the page that asks for it."""
    try:
        return find_reviewer(request)
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
    if at is None or not site.finder.atlas.has(at):
        shown = now.take(site.finder.find(wanted, name), name)
    else:
        shown = site.item(at)
        now.open(shown, name)
    view = None if shown is None else site.view(shown, name)
    return _render_page("review", request, wanted=wanted, query=query_of(wanted), view=view)


@router.get("/item/{position}")
def item(request: Request, site: Here, name: Name, shown: Shown, *, ahead: bool = False) -> HTMLResponse:
    """Return one sample as a fragment of the page; `ahead` when it is only fetched in advance."""
    if not ahead:
        site.review.open(shown, name)
    return site.render("sample.html", request, view=site.view(shown, name))


@router.post("/open/{position}")
def opened(site: Here, name: Name, shown: Shown) -> Response:
    """Note that a sample fetched in advance is now before the reviewer."""
    if site.review.status(shown, name) == "todo":  # else this comes late, and they have gone on
        site.review.open(shown, name)
    return Response(status_code=204)


@router.get("/grid")
def grid(
    request: Request, site: Here, name: Named, wanted: Wanted, page: Annotated[int, Query(ge=1)] = 1
) -> HTMLResponse:
    """Show many samples at once, grouped by given and suggested label."""
    site.review.refresh()
    everything = site.finder.find(wanted.model_copy(update={"given": "", "suggested": ""}), name)
    found = site.finder.find(wanted, name)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(page, pages)
    shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    site.finder.load(shown)
    return _render_page(
        "grid",
        request,
        wanted=wanted,
        query=query_of(wanted),
        found=len(found),
        page=page,
        pages=pages,
        pairs=Counter((i.given, i.suggested) for i in everything).most_common(),
        link=lambda **changes: "/grid?" + query_of(wanted.model_copy(update=changes)),
        views=[site.tile(item, name) for item in shown],
        like=None if wanted.like is None else site.item(wanted.like),
    )


@router.get("/tile/{position}")
def tile(request: Request, site: Here, name: Name, shown: Shown) -> HTMLResponse:
    """Return one sample as the grid shows it, for the map."""
    return site.render("tile.html", request, view=site.tile(shown, name))


@router.get("/map")
def show_map(request: Request, site: Here, name: Named) -> HTMLResponse:  # noqa: ARG001 (must have one)
    """Show where all samples are."""
    atlas = site.finder.atlas
    return _render_page("map", request, points=len(atlas.rows) if atlas.exists else 0)


@router.get("/map/points")
def map_points(site: Here, name: Name) -> Response:
    """Return the dots of the map, a column after the other: position, two views of two numbers each, class, state."""
    atlas, review = site.finder.atlas, site.review
    if not atlas.exists:
        raise HTTPException(404, "no map of this run")
    review.refresh()
    statuses = [review.status(item, name) for item in site.queue.items]
    known = np.array([1 if status == "todo" else 2 for status in statuses] + [0], np.uint8)
    columns = (
        atlas.positions.astype("<u4"),
        atlas.view("plane").astype("<f4"),
        atlas.view("classes").astype("<f4"),
        atlas.labels.astype("<u2"),
        known[np.minimum(atlas.positions, len(statuses))],
    )
    content = b"".join(column.tobytes() for column in columns)
    return Response(content, media_type="application/octet-stream")


@router.get("/decisions.csv")
def decisions(site: Here, name: Named) -> Response:  # noqa: ARG001 (must have one)
    """Return the decisions of this run with everything that was known of the samples."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "decisions.csv"
        export_decisions(site.review.log.path.parent, file, run_id=site.queue.run_id)
        content = file.read_bytes()
    named = {"content-disposition": 'attachment; filename="decisions.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=named)


@router.get("/team")
def team(request: Request, site: Here, name: Named) -> HTMLResponse:  # noqa: ARG001 (must have one)
    """Show how far each reviewer is."""
    site.review.refresh()
    return _render_page("team", request, team=list_team(site.review), queued=len(site.queue.items))


@router.get("/insights")
def insights(request: Request, site: Here, name: Named) -> HTMLResponse:  # noqa: ARG001 (must have one)
    """Show what the decisions say: precision, errors left, the reviewers and how they agree."""
    now, items = site.review, site.queue.items
    now.refresh()
    with now.lock:
        return _render_page(
            "insights",
            request,
            standing=now.count(),
            waiting=now.waiting,
            reviewers=list_reviewers(items, now.ledger),
            agreements=compare_reviewers(now.ledger, [item.key for item in items]),
            enough=ENOUGH,
            window=WINDOW,
            trust=write_trust_line(read_object(site.queue.run / "summary.json").get("queue", {})),
        )


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
def saliency(site: Here, shown: Shown) -> Response:
    """Return the overlay of a sample's picture."""
    picture = site.image(shown.sample_id, "page")
    overlay = site.cards.overlay(shown, measure_picture(picture[0])) if picture else None
    if overlay is None:
        raise HTTPException(404, "no overlay of this sample")
    return Response(overlay, media_type="image/png")


@router.get("/audio")
def audio(site: Here, name: Named, id: str) -> FileResponse:  # noqa: A002, ARG001 (the name in the address; must have one)
    """Return a sample's sound, or the part of it that a browser asks for."""
    options = site.review.options
    named = site.rows.row(id).get(options.audio, "") if options.audio_folder else ""
    file = find_sound(options.audio_folder, named) if options.audio_folder and named else None
    if file is None:
        raise HTTPException(404, "no sound that can be played")
    return FileResponse(file, media_type=TYPES[file.suffix.lower()])


@router.get("/text/{position}")
def text(site: Here, name: Name, shown: Shown, id: str) -> HTMLResponse:  # noqa: A002
    """Return the whole text of a sample, or of one of its neighbours, as a fragment of the page."""
    near = {near["sample_id"] for kind in EVIDENCE for near in shown.evidence.get(kind, ())}
    if id not in {shown.sample_id, *near}:
        raise HTTPException(404, "no such text in this queue")
    return HTMLResponse(site.cards.text(shown, id, blind=site.is_blind(shown, name)))


@router.get("/columns/{position}")
def columns(request: Request, site: Here, name: Name, shown: Shown) -> HTMLResponse:
    """Return the columns of a sample that its card leaves out, as rows of its table."""
    rest = site.cards.columns(shown, slice(ROWS, None), blind=site.is_blind(shown, name))
    return site.render("columns.html", request, columns=rest, item=shown)


def _render_page(here: str, request: Request, **values: object) -> HTMLResponse:
    """Return a page, with what each page shows around its own content."""
    site = find_site(request)
    now, name = site.review, site.who(request)
    todo, total = now.count_open(name), now.count_items(name)
    counts = {"todo": todo, "done": total - todo, "total": total, "known": now.known}
    frame = {"here": here, "seq": now.ledger.seq, "disagreements": now.disagreements, **counts}
    return site.render(f"{here}.html", request, **frame, **values)


def query_of(wanted: Filter) -> str:
    """Return a filter as the query of an address, defaults left out.

    >>> query_of(Filter(state="all", low=0.5))
    'state=all&low=0.5'
    """
    return urlencode(wanted.model_dump(exclude_defaults=True, exclude_none=True))
