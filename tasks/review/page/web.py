"""The review page as a web application, and the process that serves it."""

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from tasks.errors import InputError
from tasks.review.page import api, pages
from tasks.review.page.guard import Guard, make_app
from tasks.review.page.site import Site
from tasks.review.queue import load_queue
from tasks.review.reviewer_checks import CONTROL_SHARE
from tasks.review.state import ReviewOptions

DEFAULT_PORT = 8765
# Ctrl-C waits this long for requests that are still at work. A request takes some hundred milliseconds.
_GOODBYE_S = 5


def create_app(
    run: Path,
    out: Path,
    *,
    options: ReviewOptions | None = None,
    reviewer: str | None = None,
    control_share: float = CONTROL_SHARE,
    guard: Guard | None = None,
    when_finished: Callable[[], None] | None = None,
    with_open: bool = False,
) -> FastAPI:
    """Make the review page of one run, or of a data set up to its newest run.

    Args:
        out: The output folder, where the decision log is.
        reviewer: Name of the reviewer; None asks each browser for one.
        control_share: Share of planted controls; 0 plants none.
        guard: Who may reach the page; this machine alone if None.
        when_finished: Called when a decision leaves nothing open in the queue.
        with_open: Whether what earlier queues showed and nobody has decided on is shown too.

    Raises:
        InputError: The folder is not that of a run, or the log cannot be used.
    """
    app = make_app("labelsweep review", guard or Guard())
    queue = load_queue(run, control_share=control_share, with_open=with_open)
    site = Site(queue, out, options or ReviewOptions(), reviewer)
    site.review.when_finished = when_finished
    app.state.site = site
    app.include_router(pages.router)
    app.include_router(api.router)
    for kind in (HTTPException, RequestValidationError, InputError):
        app.exception_handler(kind)(_refuse)
    return app


def _refuse(request: Request, error: HTTPException | RequestValidationError | InputError) -> Response:
    """Say what is wrong with a request, to the page's script or to a person."""
    message, status, headers = str(error), 422, None
    if isinstance(error, HTTPException):
        message, status, headers = str(error.detail), error.status_code, error.headers
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        message = f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status, headers)
    return PlainTextResponse(message, status, headers)


def listen(host: str, port: int | None) -> socket.socket:
    """Open the port; without a wish the default one, or a free one where that is taken.

    Raises:
        InputError: The address is not this machine's, or the wished port is taken.
    """
    wishes = [DEFAULT_PORT, 0] if port is None else [port]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wish in wishes:
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, wish))
        except OSError as error:
            opened.close()
            problem = error
        else:
            return opened
    fix = "choose another with --port"
    raise InputError(f"cannot listen there ({problem.strerror})", where=f"{host}:{port}", fix=fix)


def is_local(host: str) -> bool:
    """Whether only this machine reaches a page that listens there.

    >>> is_local("127.0.0.1"), is_local("0.0.0.0")
    (True, False)
    """
    return host in ("127.0.0.1", "localhost", "::1")


def guard_for(host: str, token: str | None) -> Guard:
    """Return who may reach a page that listens on `host`.

    Raises:
        InputError: Other machines could reach it, and there is no token.
    """
    if is_local(host):
        return Guard(token=token)
    if not token:
        fix = "set a token with --token"
        raise InputError("other machines could reach the page", where=f"--host {host}", fix=fix)
    # With the token any host name may be used: a page of another site cannot have it, so rebinding gains nothing.
    return Guard(None, token)


def serve(app: FastAPI, opened: socket.socket, started: Callable[[], None]) -> None:
    """Serve until interrupted; `started` is called when the first request can come.

    The log needs no goodbye: whatever was answered is on the disk.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            started()

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GOODBYE_S,
    )
    Server(config).run(sockets=[opened])
