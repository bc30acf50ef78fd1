"""The `labelsweep` command. Nothing heavy is imported before a command needs it: help answers at once."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from flows.commands.clean import clean
from flows.commands.data_sets import datasets, deploy
from flows.commands.exchange import export, import_
from flows.commands.prune import prune
from flows.commands.reports import serve_reports
from flows.commands.review import review
from flows.commands.runs import runs
from flows.commands.status import status
from flows.commands.synthesize import synthesize
from flows.commands.versions import apply, diff, restore
from flows.signals import Interrupted, Terminated, note_signals
from tasks.errors import LabelsweepError
from tasks.terminal import write_one_line

# Exit codes of a program that a signal ended, by the convention of shells: 128 + the number of the signal.
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

# Prefect's threads send their last lines and events within a second of the end.
_GOODBYE_SECONDS = 5.0

# Python looks for garbage each time that so many objects are new (700 by its default). Imports make a million that all stay:
# with this number a sweep of 344 rows takes 6.8 s of the processor instead of 7.8 s (means of three, a busy machine).
_GARBAGE_AFTER = 100_000

# Errors that say what is wrong; any other one is a traceback under LABELSWEEP_DEBUG.
_EXPECTED = (LabelsweepError, TyperException, Interrupted)


def main() -> None:
    """Run the command line and leave with its exit code.

    At its end Python waits for threads of the libraries. A command that was told to stop does so for a few seconds only, and
    a second Ctrl-C ends it at once.
    """
    gc.set_threshold(_GARBAGE_AFTER, 50, 100)
    code = run(sys.argv[1:])
    if code in (INTERRUPTED, TERMINATED):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        last = threading.Timer(_GOODBYE_SECONDS, os._exit, (code,))
        last.daemon = True
        last.start()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; say what is wrong in one line on standard error, and return the exit code.

    >>> run(["--version"])
    labelsweep 0.1.0
    0
    """
    noted: list[int] = []
    try:
        with note_signals() as noted:
            code = make_program(arguments)(
                args=list(arguments), prog_name="labelsweep", standalone_mode=False
            )
    except BrokenPipeError:
        sys.stdout = None  # nobody reads our output any more
        return 1
    except (Exception, Terminated) as error:
        if os.environ.get("LABELSWEEP_DEBUG") and not isinstance(error, (*_EXPECTED, Terminated)):
            raise
        line, code = _explain(error, noted)
        return _say(line, code)
    # typer turns Ctrl-C outside a run into this code, and says nothing.
    return _say("interrupted", INTERRUPTED) if code == INTERRUPTED else code or 0


def _explain(error: BaseException, noted: Sequence[int]) -> tuple[str, int]:
    """Return the line and the exit code for a command that failed, after signals that were noted."""
    if isinstance(error, LabelsweepError):
        return f"error: {error}", error.exit_code
    if isinstance(error, TyperException):
        format_message = getattr(error, "format_message", error.__str__)
        what = " ".join(format_message().split())
        if "extra argument" in what and getattr(getattr(error, "ctx", None), "info_name", "") == "clean":
            what += "; of several files, name the folder that holds them"
        return f"error: {what}", 2
    if isinstance(error, Interrupted):
        return str(error), INTERRUPTED
    if isinstance(error, Terminated) or signal.SIGTERM in noted:
        return "terminated; the same command resumes it", TERMINATED
    if noted:
        return "interrupted", INTERRUPTED
    from tasks.error_lines import describe_error, explain  # noqa: PLC0415

    return describe_error(error), 2 if explain(error) else 1


def make_program(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line program for `arguments`.

    The options of `clean` are read off the parameter model, and those of a benchmark off its function: both are imported only
    where they are meant.
    """
    program = typer.Typer(
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(labelsweep)
    # Where a shell asks how a line goes on, the line stands in the environment.
    asked = os.environ.get("COMP_WORDS", "") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = [*arguments, *asked.split()[1:]]
    place, name = next((pair for pair in enumerate(words, 1) if not pair[1].startswith("-")), (0, ""))
    if name == "clean":
        from flows.commands.options import add_parameter_options  # noqa: PLC0415

        program.command("clean")(add_parameter_options(clean))
    else:
        program.command("clean", help=clean.__doc__)(lambda: None)
    from tasks.bench.command import make_program as make_bench  # noqa: PLC0415

    program.add_typer(make_bench(words[place:] if name == "bench" else ()), name="bench")
    program.command()(synthesize)
    program.command()(runs)
    program.command()(datasets)
    program.command()(deploy)
    program.command("serve-reports")(serve_reports)
    for command in (review, status, apply, export, import_, diff, restore, prune):
        program.command(command.__name__.rstrip("_"))(command)
    return program


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"labelsweep: {write_one_line(line)}\n")
    return code


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"labelsweep {version('labelsweep')}\n")
        raise typer.Exit


def labelsweep(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="say the version")
    ] = False,
) -> None:
    """Sweep a labeled data set for mislabeled samples and hand people a short queue to fix."""
    if context.invoked_subcommand is None and not version:
        sys.stdout.write(context.get_help() + "\n")


if __name__ == "__main__":
    main()
