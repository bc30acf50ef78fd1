"""The stack of one machine, `make serve`: the processes of the Procfile, with safe settings unless the user chose others.

    python -m flows.platform.stack

`LABELSWEEP_HOST` is where the server listens, this machine alone unless it is set; beyond it the server asks for a password.
`LABELSWEEP_POSTGRES=1` keeps the database in a Postgres of its own.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import MutableMapping
from contextlib import ExitStack
from pathlib import Path

from flows.platform.postgres import run_postgres
from tasks.errors import LabelsweepError

_HERE = ("127.0.0.1", "localhost", "::1")
# A machine that is busy for a minute is no reason to give up: a database is waited for, and a server that failed is asked again.
_PATIENCE = {
    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "30",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    # A server that was away hears of the runs at work with their next heartbeats, and looks who is silent only then.
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT40S",
    # It has seen none of the events before its start, and waits for them no longer than a minute.
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.platform.event_order",
    # Whose run has the one slot of a deployment is on disk: in memory, a restart would end the runs that renew theirs.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_ASKS, _ANSWERS = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"


def main() -> int:
    """Run the stack until Ctrl-C or SIGTERM; return the exit code."""
    settings = _PATIENCE | os.environ
    with ExitStack() as exits:
        # Prefect shares a folder of temporary files with whoever else runs it on this machine, and leaves files there.
        settings["TMPDIR"] = exits.enter_context(tempfile.TemporaryDirectory(prefix="labelsweep-"))
        try:
            notes = secure(settings)
            if settings.get("LABELSWEEP_POSTGRES", "0") not in ("", "0"):
                folder = find_postgres_folder(settings)
                settings.setdefault(_DATABASE, exits.enter_context(run_postgres(folder)))
                notes.append(f"the database is Postgres, in {folder}")
        except LabelsweepError as error:
            sys.stderr.write(f"labelsweep: error: {error}\n")
            return error.exit_code
        if "postgresql" not in settings.get(_DATABASE, ""):
            notes.append(
                "the database is SQLite, which is for trying out: with several runs at once it locks and loses events; "
                "`make serve LABELSWEEP_POSTGRES=1` starts a Postgres of its own, "
                f"{_DATABASE} names another"
            )
        sys.stderr.writelines(f"labelsweep: {note}\n" for note in notes)
        sys.stderr.flush()
        return _run(["honcho", "start", "--no-colour"], settings)


def secure(settings: MutableMapping[str, str]) -> list[str]:
    """Set who may talk to the server; return what is to be said of it.

    Args:
        settings: The environment of the stack, which is changed where the user did not decide.
    """
    host, port = settings.get("LABELSWEEP_HOST", _HERE[0]), settings.get("LABELSWEEP_PORT", "4200")
    names = [*_HERE[:2]]
    notes = []
    if host not in _HERE:
        name = socket.getfqdn() if host in ("0.0.0.0", "::") else host  # noqa: S104 (what the user may have set)
        names.append(name)
        settings.setdefault("PREFECT_UI_API_URL", f"http://{name}:{port}/api")
        if _ASKS not in settings:
            file = keep_password(settings)
            settings[_ASKS] = file.read_text(encoding="utf-8").strip()
            notes.append(
                f"the server listens on {host} and asks for the user and password in {file}; "
                f"the UI takes them as they are, clients in {_ANSWERS}"
            )
        settings.setdefault(_ANSWERS, settings[_ASKS])
    settings.setdefault(
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS", ",".join(f"http://{name}:{port}" for name in names)
    )
    return notes


def keep_password(settings: MutableMapping[str, str]) -> Path:
    """Return the file with user and password of the server, made where there is none; its owner alone may read it."""
    file = Path(settings.get("PREFECT_HOME") or Path.home() / ".prefect") / "labelsweep-auth"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(f"labelsweep:{secrets.token_urlsafe(24)}\n", encoding="utf-8")
    return file


def find_postgres_folder(settings: MutableMapping[str, str]) -> Path:
    """Return where the database is: in the home of the user; Postgres refuses to run as root, and may not look into root's."""
    if os.getuid() == 0:
        return Path("/var/lib/labelsweep/postgres")
    return Path(settings.get("PREFECT_HOME") or Path.home() / ".prefect") / "labelsweep-postgres"


def _run(command: list[str], settings: MutableMapping[str, str]) -> int:
    """Run a command to its end; Ctrl-C reaches it by itself, SIGTERM is passed on."""
    process = subprocess.Popen(command, env=settings)  # noqa: S603 (our own command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
