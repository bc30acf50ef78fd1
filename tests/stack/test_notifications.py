"""What a channel hears of a sweep, of the gate, of a failure and of a crash: a real web server and a real mail server listen."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from local_stack import ROOT, SMALL, Stack
from postgres_server import free_port

if not os.environ.get("LABELSWEEP_STACK_FAULTS"):
    pytest.skip("takes minutes: LABELSWEEP_STACK_FAULTS=1 runs it", allow_module_level=True)


class Inbox(Message):
    """Keeps the mails that arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[tuple[str, str]] = []

    def handle_message(self, message) -> None:
        parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
        self.mails.append((message["Subject"], b"\n".join(parts).decode()))


@pytest.fixture(scope="module")
def heard(stack: Stack):
    """Install the notifications for three channels that this machine listens on."""
    posts: dict[str, list[dict]] = {"/slack": [], "/hook": []}

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts[self.path].append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    inbox = Inbox()
    mail = Controller(inbox, hostname="127.0.0.1", port=free_port())
    mail.start()
    address = f"http://127.0.0.1:{server.server_port}"
    port = mail.port
    channels = {
        "LABELSWEEP_NOTIFY_SLACK": f"{address}/slack",
        "LABELSWEEP_NOTIFY_WEBHOOK": f"{address}/hook",
        "LABELSWEEP_NOTIFY_MAIL": f"mailto://127.0.0.1:{port}?from=sweep@example.org&to=ada@example.org",
    }
    set_up(stack, **channels)
    yield posts, inbox.mails
    set_up(stack)
    server.shutdown()
    mail.stop()


def set_up(stack: Stack, **variables: str) -> None:
    command = [sys.executable, "-m", "flows.platform.setup"]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment() | variables, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def told(stack: Stack, heard, word: str) -> tuple[str, str, str]:
    """Return what Slack, the webhook and the mailbox got with this word in it."""
    posts, mails = heard

    def found():
        slack = [post["text"] for post in posts["/slack"] if word in post["text"]]
        hook = [post["subject"] for post in posts["/hook"] if word in post["subject"]]
        mail = [subject for subject, _ in mails if word in subject]
        return (slack[0], hook[0], mail[0]) if slack and hook and mail else None

    return stack.wait(found, 60)


def test_a_finished_sweep_and_the_gate_are_told_apart(stack: Stack, heard, blobs: Path, tmp_path):
    run = stack.submit(
        "clean-labels/on-demand",
        source=str(blobs),
        out=str(tmp_path),
        gpu_deployment=None,
        max_noise=0,
        **SMALL,
    )
    ended = stack.ended(run.id)
    assert (ended.state.name, ended.state.type.value) == ("Gate", "FAILED")
    slack, hook, mail = told(stack, heard, "labels to look at")
    assert str(blobs) in slack
    assert hook == mail
    assert "--max-noise" in told(stack, heard, "the gate stopped")[0]
    assert not any("failed" in subject for subject, _ in heard[1])
    (flagged,) = [post["data"] for post in heard[0]["/hook"] if post["event"] == "labels.flagged"]
    assert flagged["rows"] == 400


def test_a_failure_is_told_with_its_one_line(stack: Stack, heard, tmp_path):
    run = stack.submit("clean-labels/on-demand", source=str(tmp_path / "none.csv"), out=str(tmp_path))
    assert stack.ended(run.id).state.name == "Failed"
    assert "none.csv" in told(stack, heard, "failed")[0]


def test_a_fit_that_no_gpu_worker_takes_is_told_with_why(stack: Stack, heard, blobs: Path, tmp_path):
    stack.post("/work_pools/gpu", {"is_paused": True}, "PATCH")
    fit = {"gpu_deployment": "fit/gpu", "gpu_timeout": 5}
    run = stack.submit("clean-labels/on-demand", source=str(blobs), out=str(tmp_path), **fit, **SMALL)
    assert stack.ended(run.id).state.name == "Failed"
    stack.post("/work_pools/gpu", {"is_paused": False}, "PATCH")
    posts, mails = heard
    stack.wait(lambda: any("the pool is paused" in post["text"] for post in posts["/slack"]), 60)
    stack.wait(lambda: any("prefect work-pool resume gpu" in body for _, body in mails), 60)


def test_a_crash_is_told_by_the_server(stack: Stack, heard, blobs: Path, tmp_path):
    run = stack.submit("clean-labels/on-demand", source=str(blobs), out=str(tmp_path), gpu_deployment=None)
    stack.wait(lambda: list(tmp_path.glob("runs/*/steps/ingest.json")), 120)
    os.kill(stack.process_of(run.id), signal.SIGKILL)
    assert "crashed" in told(stack, heard, "crashed")[2]
