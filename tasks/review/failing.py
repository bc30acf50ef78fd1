"""What the review server does with a failure: it answers, says it in one line, and goes on.

A decision is acknowledged when it is on the disk, so a request that fails can be sent again, which the page does by itself.
Where memory runs out anything may fail, in libraries and in what they do about failures as well; hence every way on which a
traceback could reach the terminal (the application, the event loop, threads, destructors) ends here.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.review.guard import HEADERS
from tasks.terminal import one_line
from tasks.unexpected import in_one_line, lacks_memory

# The same line is said again after a while, and not for each of the hundred requests of one page.
_AGAIN_S: Final = 60.0
_NO_MEMORY: Final = (
    "labelsweep: error: out of memory; what the page calls saved is, and the server goes on: "
    "free some, or start it again\n"
)
# Longer than a write waits for another process; a request whose thread died for want of memory would wait for ever.
_PATIENCE_S: Final = 45.0
# What uvicorn says of a request that was said to fail when it did.
_SAID_BEFORE: Final = ("ASGI callable returned", "Cancel ")
_LOGGERS: Final = ("uvicorn.error", "asyncio")


def _answer(status: int, error: str) -> tuple[Message, Message]:
    """Make an answer in advance: when it is needed, there may be nothing to make it of."""
    body = b'{"error": "%s"}' % error.encode()
    fields = {
        **HEADERS,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "retry-after": "1",
    }
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    return {"type": "http.response.start", "status": status, "headers": headers}, {
        "type": "http.response.body",
        "body": body,
    }


_SHORT: Final = _answer(503, "the server has too little memory just now")
_FAILED: Final = _answer(500, "the server failed, and its terminal says why")


class Voice(logging.Handler):
    """Says a failure in one line on standard error, and the same line once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[str, float] = {}

    def say(self, error: BaseException) -> None:
        """Say what went wrong."""
        try:
            if lacks_memory(error):
                self._write(_NO_MEMORY)
            elif isinstance(error, Exception):
                self._write(f"labelsweep: {one_line(in_one_line(error))}\n", f"{type(error)}{error}")
        except Exception:  # noqa: BLE001, S110 (who cannot even say it has said it before, or the next request does)
            pass

    def emit(self, record: logging.LogRecord) -> None:
        """Say what a library would write as a traceback."""
        if record.exc_info and record.exc_info[1] is not None:
            self.say(record.exc_info[1])
        elif not record.getMessage().startswith(_SAID_BEFORE):
            self._write(f"labelsweep: {one_line(record.getMessage())}\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name in logging)
        """Write no traceback of a line that could not be made."""

    def _say_of(self, failure: "threading.ExceptHookArgs | sys.UnraisableHookArgs") -> None:
        try:  # noqa: SIM105 (a context manager would need memory)
            self.say(failure.exc_value or MemoryError())
        except MemoryError:
            pass

    def _write(self, line: str, key: str = "") -> None:
        now = time.monotonic()
        if now - self._said.get(key or line, -_AGAIN_S) >= _AGAIN_S:
            self._said[key or line] = now
            sys.stderr.write(line)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Be the one who says it, whatever fails in the enclosed block."""
        hooks = threading.excepthook, sys.unraisablehook
        threading.excepthook = sys.unraisablehook = self._say_of
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False
        try:
            yield
        finally:
            threading.excepthook, sys.unraisablehook = hooks
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(self)
                logging.getLogger(name).propagate = True


class Answered:
    """An application whose every request is answered: 503 where memory is short, 500 where something else fails."""

    def __init__(self, app: ASGIApp, voice: Voice) -> None:
        self._app, self._voice = app, voice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer for an application that fails."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 (said, and answered)
            late = isinstance(error, TimeoutError)
            self._voice.say(MemoryError() if late else error)
            if not begun:
                for message in _SHORT if late or lacks_memory(error) else _FAILED:
                    await send(message)
            # An answer that broke off is noticed by uvicorn, which closes the connection.
