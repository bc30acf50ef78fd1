"""The review page on a real port: in a thread of the test, or as a process that can be killed."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tasks.review.room import Room
from tasks.review.web import create_app, listen

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """A served page."""

    address: str
    room: Room


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
        yield Served(f"http://127.0.0.1:{opened.getsockname()[1]}", app.state.room)
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(5)


class Process:
    """The real server process, started as a user would."""

    def __init__(self, out: Path, *arguments: str) -> None:
        code = "import sys; from flows.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-W", "ignore", "-c", code, "review", "--out", str(out), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
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
    """A reviewer without a browser."""

    def __init__(self, address: str) -> None:
        self.address = address.split("?")[0].rstrip("/")
        with urllib.request.urlopen(f"{self.address}/review", timeout=20) as answer:
            self.cookie = answer.headers["set-cookie"].split(";")[0]

    def get(self, path: str) -> Any:
        """Get JSON, or the text of a page."""
        request = urllib.request.Request(self.address + path, headers={"cookie": self.cookie})
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read().decode()
        return json.loads(body) if path.startswith("/api/") else body

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post JSON."""
        headers = {
            "cookie": self.cookie,
            "content-type": "application/json",
            "x-csrf-token": self.cookie.split("=", 1)[1],
        }
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or "{}")
