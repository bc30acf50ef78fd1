"""Kill the review server a hundred times while a reviewer works, and count lost decisions.

python tests/benchmarks/kill_review.py [kills] [seed]
"""

import os
import platform
import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "review"), str(Path(__file__).parents[2])]

from killing import kill_while_reviewing  # noqa: E402
from run_folder import digits_run  # noqa: E402


def main() -> None:
    """Print a table."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory(prefix="labelsweep-kills-") as folder:
        out = Path(folder)
        toll = kill_while_reviewing(out, digits_run(out), kills, seed)
    rows = [
        ("kills (SIGKILL, 0 to 0.8 s after the first answer)", toll.kills),
        ("acknowledged actions (decisions and undos)", toll.acknowledged),
        ("of them lost", toll.lost),
        ("rows written twice by sending an action again", toll.doubled),
        ("actions under way at a kill", toll.unanswered),
        ("of them written nevertheless", toll.of_those_written),
        ("failed integrity checks of the database", toll.corrupt),
    ]
    lines = [f"| {name} | {value:,} |" for name, value in rows]
    table = "\n".join(["| review server killed while a reviewer works | |", "|---|---:|", *lines])
    sys.stdout.write(
        f"`python tests/benchmarks/kill_review.py {kills} {seed}`\n\n{table}\n\n"
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}, "
        f"{os.cpu_count()} cores.\n"
    )
    sys.exit(1 if toll.lost or toll.doubled or toll.corrupt else 0)


if __name__ == "__main__":
    main()
