"""A Ctrl-C that is lost in a destructor or under a library that catches everything ends the run nevertheless."""

import os
import signal
from contextlib import suppress

import pytest

from flows.interrupt import ctrl_c_is_noted, stop_if_asked
from flows.progress import Within


class Interrupted:
    """Ctrl-C comes while it is destroyed."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the interpreter looks for signals between instructions
            pass


def test_ctrl_c_that_is_lost_is_raised_at_the_next_word_of_progress(capsys) -> None:
    with ctrl_c_is_noted():
        one = Interrupted()
        del one
        with pytest.raises(KeyboardInterrupt):
            Within("fit", "fit")("iterations", 1, 2)
    assert capsys.readouterr().err == ""
    stop_if_asked()  # it was for that run alone
    with ctrl_c_is_noted():
        with suppress(BaseException):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop_if_asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
