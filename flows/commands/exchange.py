"""The commands that carry decisions out and in: `export` and `import`.

Nothing heavy is imported before a command needs it.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.common import Out, Run, find_run_or_name_it, note
from tasks.errors import InputError
from tasks.terminal import write_lines, write_one_line


class ExportFormat(StrEnum):
    """What `export` writes."""

    label_studio = "label-studio"
    csv = "csv"
    parquet = "parquet"


class ImportFormat(StrEnum):
    """What `import` reads."""

    label_studio = "label-studio"
    csv = "csv"
    xlsx = "xlsx"


def export(
    run: Run = None,
    *,
    to: Annotated[ExportFormat, typer.Option("--to", help="format", show_default=False)],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-o", metavar="PATH", help="where to; a folder for label-studio", show_default=False
        ),
    ] = None,
    out: Out = None,
    image_root: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Label Studio: address that serves the pictures (default: inside the tasks)"
        ),
    ] = None,
) -> None:
    """Export the queue to Label Studio, or the decisions as CSV or Parquet."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.storage import explain_write_errors  # noqa: PLC0415

    results = Results(out, run)
    # What is made of results on a store is here: nobody looks into the folder that stands for it.
    beside = Path() if results.address else results.out
    if to is ExportFormat.label_studio:
        from tasks.review.exchange.label_studio import export_tasks  # noqa: PLC0415

        folder = find_run_or_name_it(results, run)
        place = file or beside / "label-studio" / folder.name
        with explain_write_errors(place, "choose another folder with --file"):
            config, tasks = export_tasks(folder, place, image_root=image_root)
        sys.stdout.write(write_lines(f"labeling config: {config}\ntasks:           {tasks}\n"))
        return
    from tasks.review.exchange.export import export_decisions  # noqa: PLC0415

    target = file or beside / f"decisions.{to.value}"
    if target.suffix != f".{to.value}":
        raise InputError(
            "does not end as the format does", where=str(target), fix=f"name a file that ends in .{to.value}"
        )
    run_id = results.run().name if run else None
    results.fetch_decisions()
    with explain_write_errors(target, "choose another file with --file"):
        exported = export_decisions(results.out, target, run_id=run_id)
    sys.stdout.write(f"{write_one_line(target)}: {exported}\n")


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="queue.csv or queue.xlsx with decisions, or a JSON export of Label Studio"
        ),
    ],
    *,
    source: Annotated[
        ImportFormat | None,
        typer.Option("--from", help="format (default: by the ending)", show_default=False),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="run that the samples come from (default: the one whose queue it is)"
        ),
    ] = None,
    reviewer: Annotated[
        str, typer.Option(metavar="NAME", help="spreadsheet: who decided, where no column says so")
    ] = "spreadsheet",
    out: Out = None,
) -> None:
    """Import decisions made elsewhere; nothing is imported if one row is wrong."""
    from flows.results import Results  # noqa: PLC0415

    form = source or _format_of(file)
    results = Results(out, run)
    folder = find_run_or_name_it(results, run)
    if form is not ImportFormat.label_studio:
        from tasks.review.exchange.spreadsheet import find_run_of_sheet, import_spreadsheet  # noqa: PLC0415

        if results.is_of_data_set(folder) and (asked := find_run_of_sheet(file, folder)) != folder:
            folder = asked
            note(f"the file is the queue of run {folder.name}")
        imported = import_spreadsheet(file, folder, results.out, reviewer=reviewer)
    else:
        from tasks.review.exchange.label_studio import import_label_studio  # noqa: PLC0415

        imported = import_label_studio(file, folder, results.out)
    sys.stdout.write(write_lines(f"{imported}\n"))
    results.publish_decisions()


def _format_of(file: Path) -> ImportFormat:
    """Read the format off the file's ending."""
    known = dict.fromkeys((".csv", ".tsv", ".txt"), ImportFormat.csv) | {".json": ImportFormat.label_studio}
    known |= dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), ImportFormat.xlsx)
    if file.suffix.lower() not in known:
        raise InputError(
            "no ending that says what it is", where=str(file), fix="add --from csv, xlsx or label-studio"
        )
    return known[file.suffix.lower()]
