"""What commands share: options, the run that is meant, and a line on standard error."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.terminal import write_one_line

if TYPE_CHECKING:
    from flows.results import Results

Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="data set, whose newest run it is, or id, folder or address of a run (default: the only data set)",
        show_default=False,
    ),
]
_PLACE = "folder of the results, or an address such as s3://bucket/prefix"
Out = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help=f"{_PLACE} (default: the folder of RUN, LABELSWEEP_OUT or data)",
        show_default=False,
    ),
]
OutWithoutRun = Annotated[
    str | None,
    typer.Option(metavar="DIR", help=f"{_PLACE} (default: LABELSWEEP_OUT or data)", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else on standard output")]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="data set, where several have versions", show_default=False)
]


def note(line: str) -> None:
    """Say a line on standard error."""
    sys.stderr.write(f"labelsweep: {write_one_line(line)}\n")
    sys.stderr.flush()


def find_run_or_name_it(results: "Results", run: str | None) -> Path:
    """Return the folder of the run that is meant; where the user named a data set or nothing, say which it is."""
    folder = results.run()
    if run is None or results.is_of_data_set(folder):
        from tasks.runs.history import describe_run  # noqa: PLC0415

        note(f"newest run: {describe_run(folder)}")
    return folder
