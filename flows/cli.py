"""The `labelsweep` command. Nothing heavy is imported before a command needs it: help answers at once."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from flows.commands.review import register
from flows.signals import ctrl_c_is_noted
from tasks.errors import InputError, LabelsweepError
from tasks.terminal import json_lines, lines, one_line

# Exit code of a program that Ctrl-C ended, by the convention of shells: 128 + SIGINT.
INTERRUPTED = 130
# The same for SIGTERM.
TERMINATED = 143
BENCHMARKS = {
    "digests": "SHA-256 of what small runs compute, to compare before and after a change of the code",
    "faults": "runs killed at random moments, and what was lost",
    "inputs": "mixed tables and texts from the raw file, beside the peers",
    "quality": "how well the wrong labels are found, beside the peers",
    "review": "what looking at samples buys, in the order of our queue and of others",
    "scale": "what a larger run will cost: a model held against a run of ten million rows",
    "speed": "how fast it is, beside the peers",
    "theory": "two Gaussians with planted errors, beside pyDVL's own solvers",
}


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Ctrl-C, with how to go on."""


# Errors that say what is wrong; any other one is a traceback under LABELSWEEP_DEBUG.
_EXPECTED = (LabelsweepError, TyperException, Interrupted)


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; say what is wrong in one line on standard error, and return the exit code.

    >>> run(["--version"])
    labelsweep 0.1.0
    0
    """
    asked: list[int] = []
    try:
        with ctrl_c_is_noted() as asked:
            code = application(arguments)(args=list(arguments), prog_name="labelsweep", standalone_mode=False)
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            sys.stdout = None  # whoever read our output has left; there is nobody to say it to
            return 1
        if os.environ.get("LABELSWEEP_DEBUG") and not isinstance(error, _EXPECTED):
            raise
        return _say(*_outcome(error, asked))
    # typer turns Ctrl-C outside a run into this code, and says nothing.
    return _say("interrupted", INTERRUPTED) if code == INTERRUPTED else code or 0


def _outcome(error: Exception, asked: Sequence[int]) -> tuple[str, int]:
    """Return the line and the exit code for a command that failed.

    Args:
        error: What it failed of.
        asked: The signals that came.
    """
    if isinstance(error, LabelsweepError):
        return f"error: {error}", error.exit_code
    if isinstance(error, TyperException):
        format_message = getattr(error, "format_message", error.__str__)
        return "error: " + " ".join(format_message().split()), 2
    if isinstance(error, Interrupted):
        return str(error), INTERRUPTED
    if signal.SIGTERM in asked:
        return "terminated; the same command goes on", TERMINATED
    if asked:
        return "interrupted", INTERRUPTED
    from tasks.unexpected import explain, in_one_line  # noqa: PLC0415

    return in_one_line(error), 2 if explain(error) else 1


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line program that `arguments` ask for.

    The options of `clean` are read off the parameter model, which is imported only where `clean` is meant.
    """
    program = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(labelsweep)
    if next((word for word in arguments if not word.startswith("-")), None) == "clean":
        from flows.commands.options import with_parameters  # noqa: PLC0415

        program.command("clean")(with_parameters(clean))
    else:
        program.command("clean", help=clean.__doc__)(lambda: None)
    program.command()(synthesize)
    program.command()(runs)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    program.command(context_settings=passed_on)(bench)
    register(program)
    return program


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"labelsweep: {one_line(line)}\n")
    return code


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"labelsweep {version('labelsweep')}\n")
        raise typer.Exit


def labelsweep(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say the version")
    ] = False,
) -> None:
    """Sweep a labeled data set for mislabeled samples and hand people a short queue to fix."""
    if context.invoked_subcommand is None and not version:
        sys.stdout.write(context.get_help() + "\n")


def clean(
    values: dict[str, Any],
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="read options from a YAML file; those given here win"
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="print summary.json and nothing else on standard output")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress on standard error")] = False,
) -> None:
    """Run the whole pipeline here and now: from labeled data to a queue and a report."""
    from flows.commands.clean import run_clean  # noqa: PLC0415
    from flows.commands.config_file import from_command_line  # noqa: PLC0415
    from flows.commands.console import chosen  # noqa: PLC0415

    parameters = from_command_line(values, config)
    try:
        with chosen(quiet=quiet) as watcher:
            cleaned = run_clean(parameters, watcher)
    except KeyboardInterrupt as error:
        raise Interrupted("; ".join(["interrupted", *getattr(error, "__notes__", [])])) from error
    summary = cleaned.summary.read_text(encoding="utf-8") if json else ""
    sys.stdout.write(json_lines(summary) if json else lines(cleaned.headline()))


def synthesize(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="file to write: .parquet or .csv")],
    *,
    rows: Annotated[int, typer.Option(metavar="N", help="samples")] = 10_000,
    dimension: Annotated[int, typer.Option(metavar="N", help="features")] = 2,
    mean_0: Annotated[str, typer.Option(metavar="A,B,…", help="mean of class 0 (default: zeros)")] = "",
    mean_1: Annotated[str, typer.Option(metavar="A,B,…", help="mean of class 1 (default: ones)")] = "",
    sigma: Annotated[float, typer.Option(metavar="X", help="standard deviation around the means")] = 0.2,
    flips: Annotated[float, typer.Option(metavar="X", help="share of the labels that are exchanged")] = 0.05,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of all that is drawn")] = 0,
) -> None:
    """Write the two-Gaussian data set of the theory, with planted errors."""
    from tasks.synthesize import synthesize as write  # noqa: PLC0415

    means = {"mean_0": _numbers("--mean-0", mean_0), "mean_1": _numbers("--mean-1", mean_1)}
    path = write(out, rows=rows, dimension=dimension, sigma=sigma, flips=flips, seed=seed, **means)
    sys.stdout.write(f"{one_line(path)}\n")


def _numbers(option: str, text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")] if text else None
    except ValueError as error:
        raise InputError(f"not numbers: '{text}'", where=option, fix="write them as 0,0.5,1") from error


def runs(
    *,
    out: Annotated[
        str,
        typer.Option(metavar="DIR", help="folder of the results, or an address such as s3://bucket/prefix"),
    ] = "data",
    json: Annotated[bool, typer.Option("--json", help="print a JSON list")] = False,
) -> None:
    """List past runs, newest first."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.runs.history import as_json, as_table  # noqa: PLC0415

    found = Results(out).past_runs()
    sys.stdout.write(json_lines(as_json(found)) if json else as_table(found))
    if not found:
        sys.stderr.write(f"labelsweep: no runs under {out.rstrip('/')}/runs\n")


def bench(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help=" | ".join(f"{key}: {text}" for key, text in BENCHMARKS.items())),
    ],
) -> None:
    """Run a benchmark, side by side with the peers; what follows NAME is passed on to it."""
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark '{name}'", fix=f"choose one of: {', '.join(BENCHMARKS)}")
    from tasks.bench.command import main  # noqa: PLC0415

    try:
        main([name, *context.args])
    except ModuleNotFoundError as error:  # peers are imported where they are run
        raise InputError(
            f"benchmark '{name}' needs {error.name}", fix="pip install 'labelsweep[bench]'"
        ) from error


if __name__ == "__main__":
    main()
