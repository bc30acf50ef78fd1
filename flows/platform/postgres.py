"""A Postgres server of one's own, for Prefect's database, where the programs of one are installed."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import InputError, LabelsweepError

# Prefect keeps a pool of connections for each of its processes.
_CONNECTIONS = 200


def find_programs() -> Path | None:
    """Return the folder of Postgres' programs, of the newest version; Debian keeps them off the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    folders += [Path(found).parent] if found else []
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def run_postgres(folder: Path, *, port: int | None = None, durable: bool = True) -> Iterator[str]:
    """Run a server on a folder, which is made on first use; yield its address as SQLAlchemy writes it.

    It listens on a socket that its owner alone may use, and asks no password. For root it runs as the user `run_postgres`.

    Args:
        port: Of this machine, to listen on as well.
        durable: Whether it survives a power cut.

    Raises:
        InputError: No Postgres is installed.
        LabelsweepError: It does not start.
    """
    programs = find_programs()
    if programs is None:
        raise InputError(
            "no Postgres is installed",
            where="LABELSWEEP_POSTGRES",
            fix="apt-get install postgresql, or leave it out",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    owner = []
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        owner = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data = folder / "data"

    def call(program: str, *arguments: str, may_fail: bool = False) -> bool:
        done = subprocess.run(  # noqa: S603 (Postgres' own programs)
            [*owner, str(programs / program), "-D", str(data), *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C stops whoever talks to it first
            text=True,
            check=False,
        )
        if done.returncode and not may_fail:
            raise LabelsweepError(
                f"Postgres does not start ({' '.join(done.stderr.split())[-200:]})",
                where=str(folder),
                fix="see its log there",
            )
        return done.returncode == 0

    if not data.exists():
        call("initdb", "-U", "labelsweep", "--auth=trust", "-E", "UTF8", "--no-locale")
    options = f"-c unix_socket_directories='{folder}' -c unix_socket_permissions=0700"
    options += f" -h 127.0.0.1 -p {port}" if port else " -c listen_addresses=''"
    options += f" -c max_connections={_CONNECTIONS}" + ("" if durable else " -c fsync=off")
    if not call("pg_ctl", "status", may_fail=True):
        call("pg_ctl", "-w", "-l", str(folder / "postgres.log"), "-o", options, "start")
    try:
        place = f"127.0.0.1:{port}/postgres" if port else f"/postgres?host={folder}"
        yield f"postgresql+asyncpg://labelsweep@{place}"
    finally:
        call("pg_ctl", "-w", "-m", "fast", "stop")
