"""The commands about all data sets: `deploy` brings deployments up to date with the list, `datasets` shows how each stands."""

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.common import AsJson, OutWithoutRun, note
from tasks.terminal import align_columns, write_json_lines, write_lines, write_one_line

ListFile = Annotated[
    Path, typer.Option("--file", "-f", metavar="FILE", help="list of the data sets", show_default=True)
]
FILE = Path("datasets.yaml")


def deploy(
    *,
    file: ListFile = FILE,
    prune: Annotated[
        bool, typer.Option("--prune", help="remove the deployments of data sets that are not listed any more")
    ] = False,
) -> None:
    """Make or update a Prefect deployment, with its schedule and notifications, for each data set of datasets.yaml.

    Says what changed; where nothing did, nothing is touched. An entry has schedule, timezone, pool, owner, gate, notify and
    paused, and any option of `labelsweep clean`. {date} in a source stands for the newest date. Results go where LABELSWEEP_OUT
    says on the worker.
    """
    from flows.data_sets import read_list  # noqa: PLC0415
    from flows.platform.server import require_server  # noqa: PLC0415

    listed = read_list(file)
    require_server()
    from flows.platform.deploy import deploy_data_sets as bring_up_to_date  # noqa: PLC0415

    for line in bring_up_to_date(listed, prune=prune):
        sys.stdout.write(write_one_line(line) + "\n")


def datasets(
    *,
    file: ListFile = FILE,
    out: OutWithoutRun = None,
    json_: AsJson = False,
) -> None:
    """List the data sets: the last run of each, the noise that it found, what waits for people, and the trend."""
    from flows.data_sets import read_list  # noqa: PLC0415
    from flows.results import Results  # noqa: PLC0415

    entries = read_list(file) if file != FILE or file.exists() else []
    listed = {one.make_parameters().short_name: one.operation for one in entries}
    results = Results(out)
    standings = results.list_standings()
    rows: list[dict[str, Any]] = [
        {
            **one.model_dump(mode="json"),
            "schedule": listed[one.name].schedule if one.name in listed else None,
            "owner": listed[one.name].owner if one.name in listed else None,
        }
        for one in standings
    ]
    swept = {one.name for one in standings}
    rows += [
        {"name": name, "run_id": None, "schedule": operation.schedule, "owner": operation.owner}
        for name, operation in listed.items()
        if name not in swept
    ]
    if json_:
        text = json_module.dumps(rows, indent=2, ensure_ascii=False)
        sys.stdout.write(write_json_lines(text) + "\n")
        return
    if not rows:
        note(f"no runs under {results.address or results.out}/runs, and no {FILE}")
        return
    sys.stdout.write(write_lines(_format_table(rows)))


def _format_table(rows: list[dict[str, Any]]) -> str:
    """Return the data sets as aligned text."""
    from tasks.review.data_set_status import draw_sparkline  # noqa: PLC0415

    cells = [("DATA SET", "LAST RUN (UTC)", "ROWS", "NOISE", "WAITING", "TREND", "SCHEDULE", "OWNER")]
    names = [row["name"] for row in rows]
    for row in rows:
        is_only = names.count(row["name"]) == 1
        run = row["run_id"] is not None
        cells.append(
            (
                row["name"] if is_only else row["key"],
                f"{row['date'][:10]} {row['date'][11:16]}" if run else "never",
                f"{row['rows']:,}" if run and row["rows"] is not None else "-",
                f"{row['noise']:.1%}" if run and row["noise"] is not None else "-",
                f"{row['waiting']:,}" if run else "-",
                draw_sparkline(row["trend"]) if run else "-",
                row["schedule"] or "-",
                row["owner"] or "-",
            )
        )
    return "".join(f"{line}\n" for line in align_columns(cells))
