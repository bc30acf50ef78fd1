"""What stands between the review page and the rest of the world.

The page listens on this machine alone by default, and asks for a token on any other address. Beyond that: a
Host header of our own (against DNS rebinding), an Origin of our own and a token in every POST that equals a
cookie other sites cannot read (against forged requests), no script, style or picture from anywhere else, no
framing, no guessing of content types. Bodies are bounded. Nobody guesses the 144
random bits of the token that the program makes, so guesses are not limited.

A decision is acknowledged when it is on the disk. So a request that fails can be sent again, and the page does that by itself.
"""

import hashlib
import secrets
import sys
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.error_lines import describe_error
from tasks.show.policy import SERVED_POLICY
from tasks.terminal import write_one_line

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
MAX_BODY: Final = 1_000_000
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, a form of ours would name no origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_YEAR_S: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks every request.

    `hosts` are the names the page answers to, any where it is None; `token` is None where only this machine can reach it.
    """

    hosts: frozenset[str] | None = LOOPBACK
    token: str | None = None

    def refuse(self, request: Request) -> Response | None:
        """Return why the request may not come through; None for one that may."""
        host, _, _ = _split_host(request.headers.get("host", ""))
        if self.hosts is not None and host not in self.hosts:
            what = "Unknown host name. Open the page by the address that labelsweep printed."
            return PlainTextResponse(what, 421)
        if self.token is not None and (answer := self._admit(request)) is not None:
            return answer
        if _read_length(request) > MAX_BODY:
            return JSONResponse({"error": "the request is too large, or does not say how large it is"}, 413)
        return None if request.method in ("GET", "HEAD") else _refuse_forged(request)

    def _admit(self, request: Request) -> Response | None:
        """Return None for who has the token; otherwise what to answer."""
        token = self.token or ""
        shown = request.query_params.get("token", "")
        if shown and request.method == "GET" and secrets.compare_digest(shown.encode(), token.encode()):
            return self._set_cookie(request)
        kept = request.cookies.get(name_cookie(request, "token"), "")
        if secrets.compare_digest(kept.encode(), _make_badge(token).encode()):
            return None
        return PlainTextResponse("This page needs the token that labelsweep printed at its start.", 403)

    def _set_cookie(self, request: Request) -> Response:
        """Move the token from the address, where it would be seen and kept, to a cookie."""
        rest = urlencode([(k, v) for k, v in request.query_params.multi_items() if k != "token"])
        response = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), 303)
        set_cookie(request, response, "token", _make_badge(self.token or ""))
        return response


class Guarded:
    """The application behind the guard: requests that it refuses do not reach it, and every answer carries its headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or say why not."""
        request = Request(scope)
        known = request.cookies.get(name_cookie(request, "csrf"), "")
        request.state.csrf = known or secrets.token_urlsafe(24)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # A report has styles of its own, and the one script that is ours.
                if request.url.path.startswith(("/report", "/runs/")):
                    headers["Content-Security-Policy"] = SERVED_POLICY
                # What is not there yet, or failed, is asked for again.
                is_lasting = request.url.path.startswith(("/static/", "/image", "/saliency"))
                if is_lasting and message["status"] < 400:
                    headers.setdefault("Cache-Control", "private, max-age=3600")
                else:
                    headers["Cache-Control"] = "no-store"
                if not known:
                    bearer = Response()
                    set_cookie(request, bearer, "csrf", request.state.csrf)
                    headers.append("set-cookie", bearer.headers["set-cookie"])
            await send(message)

        await (self._guard.refuse(request) or self._app)(scope, receive, with_headers)


class FailuresInOneLine:
    """Middleware that answers for an application that fails, on a full disk for example."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._last = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer it where it fails."""
        has_begun = False

        async def watch(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 (reported, and answered)
            self._report(error)
            if not has_begun:  # else uvicorn notices that the answer broke off, and closes the connection
                answer = {"error": "the server failed, and its terminal says why"}
                await JSONResponse(answer, 500, HEADERS)(scope, receive, send)

    def _report(self, error: Exception) -> None:
        """Write one line; the same failure of the next requests is not repeated."""
        failure = repr(error)
        if failure != self._last:
            self._last = failure
            sys.stderr.write(f"labelsweep: {write_one_line(describe_error(error))}\n")


def make_app(title: str, guard: Guard) -> FastAPI:
    """Make an application behind the guard, with the page's styles, scripts and pictures."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guarded, guard=guard)
    app.add_middleware(FailuresInOneLine)
    app.mount("/static", StaticFiles(packages=[("tasks.review.page", "static")]), name="static")
    return app


def _make_badge(token: str) -> str:
    """Return what the cookie of an admitted browser holds: any token becomes plain letters, and is not kept itself."""
    return hashlib.sha256(f"labelsweep review\0{token}".encode()).hexdigest()


def _read_length(request: Request) -> int:
    """Return how long a body is; one that does not say so counts as too long."""
    if "transfer-encoding" in request.headers:
        return MAX_BODY + 1
    unsaid = 0 if request.method in ("GET", "HEAD") else MAX_BODY + 1
    return int(request.headers.get("content-length") or unsaid)


def _refuse_forged(request: Request) -> Response | None:
    """Refuse a write that is not from a page of ours; a form's token is a field, checked by its route."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        return JSONResponse({"error": "this request came from another site"}, 403)
    kind = request.headers.get("content-type", "")
    is_form = request.url.path == "/name" and kind.startswith("application/x-www-form-urlencoded")
    if not is_form and not is_csrf_valid(request, request.headers.get("x-csrf-token", "")):
        return JSONResponse({"error": "this page is out of date: reload it"}, 403)
    return None


def is_csrf_valid(request: Request, given: str) -> bool:
    """Whether `given` is the token in this browser's cookie."""
    known = request.cookies.get(name_cookie(request, "csrf"), "")
    return bool(known) and secrets.compare_digest(given.encode(), known.encode())


def name_cookie(request: Request, what: str) -> str:
    """Return a cookie's name; it holds the port, because cookies are shared by all ports of a host."""
    _, _, port = _split_host(request.headers.get("host", ""))
    return f"labelsweep-{what}-{port or '80'}"


def set_cookie(request: Request, response: Response, what: str, value: str) -> None:
    """Set a cookie that no script can read and no other site can send."""
    response.set_cookie(
        name_cookie(request, what), value, max_age=_YEAR_S, httponly=True, samesite="strict", path="/"
    )


def _split_host(host: str) -> tuple[str, str, str]:
    """Split `name:port`, with brackets around an IPv6 name.

    >>> _split_host("127.0.0.1:8765"), _split_host("[::1]"), _split_host("localhost")
    (('127.0.0.1', ':', '8765'), ('[::1]', '', ''), ('localhost', '', ''))
    """
    name, colon, port = host.rpartition(":")
    if colon and not port.endswith("]"):
        return name.lower(), colon, port
    return host.lower(), "", ""
