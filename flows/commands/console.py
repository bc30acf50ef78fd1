"""What the terminal shows while a run works: a bar where a person watches, lines where a log is kept."""

import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from tasks.terminal import one_line


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def started(self, step: str, done: int, total: int) -> None:
        """Show nothing."""

    def finished(self, step: str, result: str, seconds: float) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""


class Lines(Quiet):
    """One plain line a finished step on standard error."""

    def finished(self, step: str, result: str, seconds: float) -> None:
        """Write what the step made."""
        sys.stderr.write(f"labelsweep: {step}: {one_line(result)} ({seconds:.1f} s)\n")
        sys.stderr.flush()

    def say(self, line: str) -> None:
        """Write the line."""
        sys.stderr.write(f"labelsweep: {one_line(line)}\n")
        sys.stderr.flush()


class Bar(Quiet):
    """A progress bar on standard error, with the finished steps above it."""

    def __init__(self) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, step: str, done: int, total: int) -> None:
        """Move the bar and name the step under way."""
        self._progress.update(self._task, description=step, completed=done, total=total)

    def finished(self, step: str, result: str, seconds: float) -> None:
        """Write what the step made above the bar."""
        self._console.print(f"{step}: {one_line(result)} ({seconds:.1f} s)", markup=False)

    def say(self, line: str) -> None:
        """Write the line above the bar."""
        self._console.print(one_line(line), markup=False)


def chosen(*, quiet: bool) -> Quiet:
    """Return the display that suits where standard error goes."""
    if quiet:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()
