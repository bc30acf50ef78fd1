"""The command `runs`: past runs, and Prefect's record of them."""

import sys
from typing import Annotated

import typer

from flows.commands.common import OutWithoutRun, note
from tasks.terminal import write_json_lines


def runs(
    *,
    out: OutWithoutRun = None,
    json: Annotated[bool, typer.Option("--json", help="print a JSON list")] = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="show those in Prefect's UI that finished without a server, too"),
    ] = False,
) -> None:
    """List past runs, newest first."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.runs.history import format_as_json, format_as_table  # noqa: PLC0415

    results = Results(out)
    found = results.list_past_runs()
    sys.stdout.write(write_json_lines(format_as_json(found)) if json else format_as_table(found))
    if not found:
        note(f"no runs under {results.address or results.out}/runs")
    if record:
        from flows.platform.server import require_server  # noqa: PLC0415

        require_server()
        from flows.platform.record import record_runs  # noqa: PLC0415

        for run in record_runs(results.out, results.name):
            note(f"recorded: {run}")
