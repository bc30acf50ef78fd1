"""A thread that dies for want of memory does not leave the run waiting for it."""

import signal
import subprocess
import sys
import threading
from contextlib import nullcontext

import pytest

from flows import starved
from flows.starved import ends_starved, starvation_ends_the_run
from tasks.unexpected import lacks_memory

WAITS = """
import threading
from flows.starved import starvation_ends_the_run

def die():
    raise MemoryError

class Dying:
    def __del__(self):
        raise MemoryError

def by_a_destructor():
    Dying()

try:
    with starvation_ends_the_run():
        try:
            threading.Thread(target={death}, daemon=True).start()
            threading.Event().wait()
        finally:
            threading.Event().wait()  # what cleans up waits for the same thread
except MemoryError:
    print("out of memory")
"""


@pytest.mark.parametrize("death", ["die", "by_a_destructor"])
def test_who_waits_for_a_thread_that_dies_for_want_of_memory_is_told_and_told_again(death: str):
    ran = subprocess.run(
        [sys.executable, "-c", WAITS.format(death=death)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "out of memory\n", "")


def test_what_a_run_without_memory_leaves_to_do_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(starved, "_LAST_S", 0.2)
    for error in (KeyError("rank"), MemoryError()):
        with (
            pytest.raises(MemoryError, match="a thread") if lacks_memory(error) else nullcontext(),
            starvation_ends_the_run(),
        ):
            ends_starved(error)
            threading.Event().wait(None if lacks_memory(error) else 0.4)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_other_errors_of_threads_end_nothing():
    code = """
import threading
from flows.starved import starvation_ends_the_run

with starvation_ends_the_run():
    thread = threading.Thread(target={}.popitem)
    thread.start()
    thread.join()
print("done")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n")
    assert "KeyError" in ran.stderr


def test_products_need_no_memory_that_is_not_there():
    code = """
import resource
import numpy as np
from scipy.linalg.blas import dgemm
from flows.starved import reserve_working_memory

matrix = np.eye(50)
reserve_working_memory()
size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 2**23, size + 2**23))
np.linalg.inv(matrix)
dgemm(1.0, matrix, matrix)
print("done")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr
