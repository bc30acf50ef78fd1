"""A Ctrl-C that is lost in a destructor or under a library that catches everything ends the run nevertheless."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from pydantic import BaseModel, model_serializer

from flows.cli import run as labelsweep
from flows.progress import Within
from flows.signals import note_signals, raise_signals_first, stop_if_asked, was_terminated


class Interrupted:
    """Ctrl-C comes while it is destroyed."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the interpreter looks for signals between instructions
            pass


def test_ctrl_c_that_is_lost_is_raised_at_the_next_word_of_progress(capsys) -> None:
    with note_signals():
        one = Interrupted()
        del one
        with pytest.raises(KeyboardInterrupt):
            Within("fit")("iterations", 1, 2)
    assert capsys.readouterr().err == ""
    stop_if_asked()  # it was for that run alone
    with note_signals():
        with suppress(BaseException):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop_if_asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_library_makes_of_ctrl_c_is_ctrl_c() -> None:
    class Shown(BaseModel):
        @model_serializer
        def write(self) -> str:
            os.kill(os.getpid(), signal.SIGINT)
            return ""

    with note_signals() as asked, pytest.raises(KeyboardInterrupt), raise_signals_first():
        Shown().model_dump()  # raises PydanticSerializationError
    assert asked == [signal.SIGINT]
    with note_signals(), pytest.raises(ValueError, match="no"), raise_signals_first():
        raise ValueError("no")


def test_a_command_that_fails_of_a_sigterm_was_terminated(capsys, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        assert not was_terminated()
        os.kill(os.getpid(), signal.SIGTERM)
        assert was_terminated()
        raise TypeError("made of it")

    monkeypatch.setattr("tasks.synthesize.synthesize", fails)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as Prefect has one while a flow runs
    try:
        assert labelsweep(["synthesize", "a.parquet"]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "labelsweep: terminated; the same command resumes it\n"


def test_a_command_that_fails_after_ctrl_c_was_interrupted(capsys, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("made of it")

    monkeypatch.setattr("tasks.synthesize.synthesize", fails)
    assert labelsweep(["synthesize", "x.parquet"]) == 130
    assert capsys.readouterr().err == "labelsweep: interrupted\n"


def test_command_that_was_told_to_stop_does_not_wait_for_threads_that_do_not_end() -> None:
    code = (
        "import threading, time; from flows import cli; threading.Thread(target=time.sleep, args=(900,)).start(); "
        "cli.run = lambda _: cli.TERMINATED; cli.main()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 143
