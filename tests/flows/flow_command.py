"""Start the `labelsweep` command in a process of its own, as a user without network would."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Imported by Python at start-up in every process that the command starts: writes down whom it wants to talk to, and
# refuses everyone who is not on this machine.
NO_NETWORK = """
import os, socket

def refuse(address):
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(repr(address) + "\\n")
    raise OSError(f"no network in this test: {address}")

def guard(name):
    original = getattr(socket.socket, name)
    def connect(self, address):
        local = self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost")
        return original(self, address) if local else refuse(address)
    setattr(socket.socket, name, connect)

guard("connect")
guard("connect_ex")
lookup = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    return lookup(host, *args, **kwargs) if host in (None, "127.0.0.1", "::1", "localhost") else refuse(host)
socket.getaddrinfo = getaddrinfo
"""

# What a user's environment may hold, and no file or line of ours ever should.
SECRETS = {
    name: f"planted-{name.lower()}-5f1c"
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LABELSWEEP_REVIEW_TOKEN")
}


@dataclass(frozen=True)
class Ran:
    """What a command printed and left behind."""

    exit_code: int
    stdout: str
    stderr: str
    out: Path
    network_log: Path


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user with nothing set, a Prefect home of its own, and no network."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "DO_NOT", "GX_"))
    }
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    return kept | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).parents[2])]),
        "NETWORK_LOG": str(folder / "network.log"),
    }


def start(arguments: list[str], home: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the command in `home`."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=home,
        env=environment(home) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def secrets_in(folder: Path, *texts: str) -> list[str]:
    """Return where a planted secret is: names of files under `folder`, or the texts."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = files | {text[:200]: text.encode() for text in texts}
    return [
        name
        for name, content in found.items()
        if any(value.encode() in content for value in SECRETS.values())
    ]
