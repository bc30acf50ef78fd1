"""The units of systemd: how little they may touch, and that their commands work as another user than the one who installed."""

import os
import pwd
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import httpx
import pytest
from postgres_server import free_port

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
NAMES = ("labelsweep-server.service", "labelsweep-worker@.service")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_units_expose_little(name):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(UNITS / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]
    assert "Unknown" not in done.stderr


class Machine:
    """What the units find on a machine, in a folder that belongs to the user `nobody`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user, port = folder, pwd.getpwnam("nobody"), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._moved = {
            "/opt/labelsweep/.venv": sys.prefix,
            "/opt/labelsweep": str(ROOT),
            "/var/lib/labelsweep": str(folder / "state"),
            "/srv/labelsweep": str(folder / "results"),
            "4200": str(port),
        }
        lines = (UNITS / "labelsweep.env").read_text().splitlines()
        pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
        self.environment = {name: self.move(value) for name, value in pairs}
        del self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
        (folder / "tmp").mkdir()
        (folder / "state").mkdir()  # systemd makes it: StateDirectory=
        own = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PATH": os.environ["PATH"]}
        self.environment |= own
        for path in (folder, folder / "tmp", folder / "state"):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.started: list[subprocess.Popen[bytes]] = []

    def move(self, text: str) -> str:
        for old, new in self._moved.items():
            text = text.replace(old, new)
        return text

    def start(self, name: str, entry: str = "ExecStart") -> "subprocess.Popen[bytes]":
        """Start a command of a unit as the user."""
        unit = RawConfigParser(strict=False)
        unit.optionxform = str
        unit.read(UNITS / name)
        command = string.Template(self.move(unit["Service"][entry])).substitute(self.environment)
        command = command.replace("%i", "cpu").replace("%H", "here")
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started.append(
                subprocess.Popen(
                    command.split(),
                    env=self.environment,
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                    user=self.user.pw_uid,
                    group=self.user.pw_gid,
                    extra_groups=[],
                )
            )
        return self.started[-1]

    def wait(self, condition, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            said = "".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < deadline, said
            time.sleep(0.5)

    def ask(self, path: str, *, who: str | None = None, body: object = None) -> httpx.Response | None:
        auth = tuple(who.split(":")) if who else None
        try:
            method = "GET" if body is None else "POST"
            return httpx.request(
                method, f"{self.url}{path}", auth=auth, json=body, timeout=30, trust_env=False
            )
        except httpx.TransportError:
            return None


@pytest.fixture
def machine() -> Iterator[Machine]:
    if os.getuid() != 0:
        pytest.skip("only root can start a program as another user")
    with tempfile.TemporaryDirectory(prefix="labelsweep-units-") as name:
        Path(name).chmod(0o755)
        one = Machine(Path(name))
        readable = ["setpriv", f"--reuid={one.user.pw_uid}", "--clear-groups", "test", "-r", __file__]
        if subprocess.run(readable, check=False).returncode:
            pytest.skip("other users may not read this checkout")
        try:
            yield one
        finally:
            for process in reversed(one.started):
                process.kill()
                process.wait()


@pytest.mark.skipif(
    not os.environ.get("LABELSWEEP_STACK_FAULTS"),
    reason="needs an environment that other users can read: LABELSWEEP_STACK_FAULTS=1 runs it",
)
def test_units_work_as_a_user_of_their_own_with_pages_password_and_worker(machine: Machine):
    server, worker = NAMES
    machine.start(server)
    machine.wait(lambda: machine.ask("/api/health") is not None)
    who = machine.environment["PREFECT_API_AUTH_STRING"]
    assert machine.start(server, "ExecStartPost").wait(timeout=240) == 0
    machine.start(worker)
    pool = "/api/work_pools/cpu/workers/filter"
    machine.wait(lambda: "ONLINE" in machine.ask(pool, who=who, body={}).text)
    assert machine.ask(pool, body={}).status_code == 401
    page = machine.ask("/")
    assert page.status_code == 200
    assert "<html" in page.text
    assert list((machine.folder / "state" / "ui").glob("v*/index.html"))
    strange = {"Origin": "http://elsewhere.example"}
    answer = httpx.get(f"{machine.url}/api/health", headers=strange, trust_env=False)
    assert "access-control-allow-origin" not in answer.headers
