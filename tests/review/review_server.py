"""The review page on a real port: in a thread of the test, or as a process that can be killed."""

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from tasks.review.page.site import Site
from tasks.review.page.web import create_app, listen
from tasks.review.queue import Item

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """A served page."""

    address: str
    site: Site
    app: FastAPI


@contextmanager
def served(run: Path, out: Path, **options: Any) -> Iterator[Served]:
    """Serve a run from a thread."""
    app = create_app(run, out, **options)
    opened = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{opened.getsockname()[1]}", app.state.site, app)
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(5)


class Process:
    """The real server process, started as a user would."""

    def __init__(self, out: Path, *arguments: str, serves: str = "review", **variables: str) -> None:
        code = "import sys; from flows.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-W", "ignore", "-c", code, serves, "--out", str(out), *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | variables,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            _, error = self.process.communicate(timeout=10)
            raise AssertionError(error)

    def kill(self) -> None:
        """Kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


class Client:
    """A reviewer without a browser: one connection, the cookies and the token of a page."""

    def __init__(self, address: str, reviewer: str = "") -> None:
        self.host = address.removeprefix("http://").partition("/")[0]
        self.cookies: dict[str, str] = {}
        self.request("GET", "/name")
        if reviewer:
            form = f"csrf={self.csrf}&name={reviewer}".encode()
            self.request("POST", "/name", form, {"content-type": "application/x-www-form-urlencoded"})

    @property
    def csrf(self) -> str:
        """The token that a page of ours sends with every write."""
        return next((value for name, value in self.cookies.items() if "csrf" in name), "")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Send a request; return status, headers and text."""
        connection = http.client.HTTPConnection(self.host, timeout=90)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, {"cookie": cookie, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, text

    def page(self, path: str) -> str:
        """Return the text of a page."""
        return self.request("GET", path)[2]

    def get(self, path: str) -> Any:
        """Return the answer to a question of the page's script."""
        return json.loads(self.page(path))

    def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
        """Write as the page's script does; return status and answer."""
        sent = {"content-type": "application/json", "x-csrf-token": self.csrf, **headers}
        status, _, text = self.request("POST", path, json.dumps(body).encode(), sent)
        return status, json.loads(text) if text.startswith("{") else text

    def decide(self, room_item: Item, decision: str, **more: Any) -> tuple[int, Any]:
        """Decide one item."""
        body = {
            "position": room_item.position,
            "check": room_item.check,
            "decision": decision,
            "action": secrets.token_hex(16),
        }
        return self.post("/api/decide", {**body, **more})
