"""A Prefect server that lives as long as one command, and starts while the rest of the program is imported.

Prefect can start a temporary server by itself, but only when one is first asked for, which puts its whole start-up
in front of the run. This one is started first, keeps its log to itself, and ends with the command, however the
command ends.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path

from tasks.errors import LabelsweepError

# A new database is migrated first: 9 s on two cores when nothing else runs, several times that beside other
# work.
STARTUP_SECONDS = 120
# Prefect's own names for a server without the UI and without the services that only a lasting server needs; its
# errors go to the log that `wait` reads, whatever the terminal shows.
_EPHEMERAL = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_UI_ENABLED": "0",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
}
# The working folder stays off the module path (-P): what lies there must not be imported by chance.
_LAUNCH = "import sys; sys.path.append(sys.argv[1]); from flows.platform.server import serve; serve(int(sys.argv[2]))"


class TemporaryServer:
    """Start a Prefect server on a free local port.

    The port is bound here and handed over, so that its address is known before the server is up, and nobody
    else can take it.

    Args:
        home: Prefect's home, named in the error when the server cannot start.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            # The server's standard input is a leash: it closes when this process ends, even when it is killed.
            # A session of its own keeps Ctrl-C on the terminal from ending the server before the run has told
            # it that it was interrupted.
            self._process = subprocess.Popen(  # noqa: S603 (this module, by this interpreter)
                [sys.executable, "-P", "-c", _LAUNCH, str(Path(__file__).parents[2]), str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **_EPHEMERAL},
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when the server answers.

        Raises:
            LabelsweepError: It ended, or took too long.
        """
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=STARTUP_SECONDS).close()  # noqa: S310 (our own address)
        except OSError as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").splitlines()
            reason = next((line.strip() for line in reversed(lines) if "Error" in line), str(error))
            raise LabelsweepError(
                f"Prefect's server did not start ({reason[:200]})",
                where=str(self._home),
                fix="set PREFECT_HOME to a writable folder, or PREFECT_API_URL to a running server",
            ) from error

    def stop(self) -> None:
        """Stop the server; it writes what it still holds first."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


def serve(descriptor: int) -> None:
    """Serve Prefect's API on an inherited listening socket, until standard input closes or a signal comes."""
    import uvicorn  # noqa: PLC0415 (only the server's own process needs it)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on"
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
