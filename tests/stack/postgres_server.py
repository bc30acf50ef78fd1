"""A real Postgres on a free local port, for as long as a test session."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Return the folder of Postgres' programs: Debian keeps them off the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    folders += [Path(found).parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Start a server with a new cluster; yield its address as SQLAlchemy writes it. It refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="labelsweep-postgres-"))
    as_owner: list[str] = []
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_owner = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data, port = folder / "data", free_port()
    make = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        "labelsweep",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    subprocess.run([*as_owner, *make], check=True, capture_output=True, cwd="/")
    # A throw-away cluster need not survive a power cut.
    options = [
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-k",
        str(folder),
        "-c",
        "fsync=off",
        "-c",
        "max_connections=200",
    ]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        server = subprocess.Popen(
            [*as_owner, str(programs / "postgres"), "-D", str(data), *options],
            stdout=log,
            stderr=log,
            cwd="/",
        )
        try:
            _wait(programs, port)
            yield f"postgresql+asyncpg://labelsweep@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            try:
                server.wait(timeout=15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            shutil.rmtree(folder, ignore_errors=True)
            Path(log.name).unlink(missing_ok=True)


def _wait(programs: Path, port: int) -> None:
    deadline = time.monotonic() + 60
    ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode:
        assert time.monotonic() < deadline, "Postgres did not start"
        time.sleep(0.2)
