"""A request that fails is answered with status 500, and the terminal says why in one line.

A decision is acknowledged when it is on the disk. So a request that fails can be sent again, and the page does that by itself.
"""

import sys

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.error_lines import describe_error
from tasks.review.page.guard import HEADERS
from tasks.terminal import one_line


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
            sys.stderr.write(f"labelsweep: {one_line(describe_error(error))}\n")
