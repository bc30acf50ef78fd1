"""Kill the review server many times while a reviewer works, and count lost decisions."""

import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tasks.bench.command import Seed
from tasks.bench.helpers import from_tests
from tasks.bench.tables import made_with, markdown


def run_kills(
    *, kills: Annotated[int, typer.Option(metavar="N", help="kills in all")] = 100, seed: Seed = 0
) -> None:
    """Kill the review server while a reviewer works, and count lost decisions; exit code 1 where there are any."""
    killing, runs = from_tests("review", "killing"), from_tests("review", "run_folder")
    with tempfile.TemporaryDirectory(prefix="labelsweep-kills-") as folder:
        out = Path(folder)
        toll = killing.kill_while_reviewing(out, runs.digits_run(out), kills, seed)
    rows = [
        ("kills (SIGKILL, 0 to 0.8 s after the first answer)", toll.kills),
        ("acknowledged actions (decisions and undos)", toll.acknowledged),
        ("of them lost", toll.lost),
        ("rows written twice by sending an action again", toll.doubled),
        ("actions under way at a kill", toll.unanswered),
        ("of them written nevertheless", toll.of_those_written),
        ("failed integrity checks of the database", toll.corrupt),
    ]
    table = markdown(["review server killed while a reviewer works", ""], rows)
    sys.stdout.write(f"{table}\nSQLite {sqlite3.sqlite_version}, {made_with()}\n")
    sys.exit(1 if toll.lost or toll.doubled or toll.corrupt else 0)
