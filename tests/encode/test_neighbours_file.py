"""What the neighbours of samples are kept in."""

import subprocess
import sys

NO_ROOM = """
import resource, sys
from pathlib import Path
import numpy as np
from tasks.encode.groups import save_neighbours
from tasks.heads.neighbours import Neighbours

found = Neighbours(np.ones((9_000, 10)), np.ones((9_000, 10), np.int64))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save_neighbours(found, Path(sys.argv[1]) / "neighbours.npz")
except OSError:
    print("no room")
"""


def test_a_file_without_room_is_one_error_and_says_nothing_later(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", NO_ROOM, str(tmp_path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.stderr) == ("no room\n", "")
    assert list(tmp_path.iterdir()) == []
