"""A real Postgres on a free local port, for as long as a test session."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.platform import postgres as own
from flows.platform.postgres import find_programs as binaries

__all__ = ["binaries", "free_port", "postgres"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def postgres(_: Path) -> Iterator[str]:
    """Start a server with a new cluster, which need not survive a power cut; yield its address as SQLAlchemy writes it."""
    folder = Path(tempfile.mkdtemp(prefix="labelsweep-postgres-"))
    folder.chmod(0o711)
    try:
        with own.run_postgres(folder, port=free_port(), durable=False) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)
