"""What the terminal shows while a run works: a bar where a person watches, lines where a log is kept."""

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from flows.commands.common import note
from flows.progress import Watcher
from tasks.terminal import write_one_line


class ProgressLines(Watcher):
    """One plain line a finished step on standard error."""

    def say(self, line: str) -> None:
        """Write the line."""
        note(line)


class ProgressBar(Watcher):
    """A progress bar on standard error, with the finished steps above it."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show_preparation(self, what: str) -> None:
        """Say what is done, beside a bar that only moves."""
        self._progress.update(self._task, description=what)

    def show_start(self, step: str, done: int, total: int) -> None:
        """Move the bar and name the step under way."""
        self._progress.update(
            self._task, description=f"{step} ({done + 1} of {total})", completed=done, total=total
        )

    def show_progress(self, step: str, text: str, percent: float) -> None:  # noqa: ARG002 (the bar is that of the run)
        """Say how far the step is."""
        self._progress.update(self._task, description=text)

    def say(self, line: str) -> None:
        """Write the line above the bar."""
        self._console.print(write_one_line(line), markup=False)


def choose_watcher(*, quiet: bool) -> Watcher:
    """Return the display that suits where standard error goes."""
    if quiet:
        return Watcher()
    return ProgressBar() if sys.stderr.isatty() else ProgressLines()
