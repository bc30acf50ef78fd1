"""A thread that dies for want of memory does not leave the run waiting for it."""

import subprocess
import sys

import pytest

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
