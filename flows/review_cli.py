"""The commands of the second half of the loop: review, apply, export, import, diff, restore.

Nothing heavy is imported before a command needs it.
"""

import json
import secrets
import sys
import warnings
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.errors import InputError
from tasks.terminal import json_lines, lines, one_line

if TYPE_CHECKING:
    from flows.results import Results

TOKEN_VARIABLE = "LABELSWEEP_REVIEW_TOKEN"  # noqa: S105 (the name of a variable)

Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="id, folder or address of a run (default: the newest)", show_default=False
    ),
]
Out = Annotated[
    str, typer.Option(metavar="DIR", help="folder of the results, or an address such as s3://bucket/prefix")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else on standard output")]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="data set, where several have versions", show_default=False)
]


class ExportFormat(StrEnum):
    """What `export` writes."""

    label_studio = "label-studio"
    csv = "csv"
    parquet = "parquet"


class ImportFormat(StrEnum):
    """What `import` reads."""

    label_studio = "label-studio"
    csv = "csv"


class Rule(StrEnum):
    """How differing answers are resolved."""

    majority = "majority"
    unanimous = "unanimous"
    latest = "latest"


def review(
    run: Run = None,
    *,
    out: Out = "data",
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="who reviews (default: the page asks)")
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; beyond this machine a token is asked for")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="port (default: 8765, or a free one)")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="token to ask for (default: a new one)", envvar=TOKEN_VARIABLE)
    ] = None,
    second_opinion: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="share of samples that two reviewers decide, blind"),
    ] = 0.0,
    hide_suggestion: Annotated[
        bool, typer.Option("--hide-suggestion", help="the second reviewer sees no suggestion")
    ] = False,
    controls: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=0.5, help="share of planted controls that check the reviewer"
        ),
    ] = 0.05,
    worth: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0.001, max=0.999, help="share of wrong labels from which looking pays"
        ),
    ] = 0.05,
    guideline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="labelling guideline, shown on the page")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
) -> None:
    """Serve the review page for the queue of a run, on this machine alone unless told otherwise."""
    from flows.results import Results  # noqa: PLC0415
    from flows.reviewed import announce_reviewed  # noqa: PLC0415
    from tasks.review.desk import ReviewOptions  # noqa: PLC0415
    from tasks.review.web import create_app, guard_for, is_local, listen, serve  # noqa: PLC0415

    results = Results(out, run)
    folder = _taken(results, run)
    results.fetch_decisions()
    if not is_local(host):
        token = token or secrets.token_urlsafe(18)
    options = ReviewOptions(
        second_opinion=second_opinion,
        hide_suggestion=hide_suggestion,
        worth=worth,
        guideline=_text_of(guideline) if guideline else "",
    )
    guard = guard_for(host, token)
    opened = listen(host, port)
    app = create_app(
        folder,
        results.out,
        options=options,
        reviewer=reviewer,
        control_share=controls,
        guard=guard,
        when_finished=partial(announce_reviewed, folder, results),
    )
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 (compared)
    address = f"http://{shown}:{opened.getsockname()[1]}/" + (f"?token={token}" if token else "")

    def started() -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        sys.stderr.write(f"labelsweep: reviewing {folder.name}; Ctrl-C ends it, every decision is saved\n")
        if open_browser:
            typer.launch(address)

    with results.publishing(_note):
        serve(app, opened, started)


def _note(line: str) -> None:
    sys.stderr.write(f"labelsweep: {one_line(line)}\n")


def _taken(results: "Results", run: str | None) -> Path:
    """Return the folder of the run; where nobody named one, say which it is."""
    folder = results.run()
    if run is None:
        from flows.history import in_words  # noqa: PLC0415

        _note(f"newest run: {in_words(folder)}")
    return folder


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the guideline cannot be read ({type(error).__name__})", where=str(file), fix="name a text file"
        ) from error


def apply(
    run: Run = None,
    *,
    out: Out = "data",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write without asking")] = False,
    conflicts: Annotated[Rule, typer.Option(help="what counts where reviewers differ")] = Rule.majority,
    gain: Annotated[
        bool, typer.Option("--gain/--no-gain", help="refit and measure what the corrections are worth")
    ] = True,
    json_: AsJson = False,
) -> None:
    """Make a new version of the data set from the decisions, refit, and measure the gain."""
    warnings.simplefilter("ignore")  # those of the libraries that the refit imports
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.carry import carry_out  # noqa: PLC0415
    from tasks.apply.correct import Applied, plan_for  # noqa: PLC0415
    from tasks.apply.words import gain_text, outcome, plan_text  # noqa: PLC0415

    results = Results(out, run)
    folder = _taken(results, run)
    results.fetch_decisions()
    results.fetch_versions()
    plan = plan_for(folder, results.out, conflicts.value)
    (sys.stderr if json_ else sys.stdout).write(lines(plan_text(plan)))
    if plan.changes and not yes and not _agreed(len(plan.changes)):
        sys.stderr.write("labelsweep: nothing was written; --yes applies it\n")
        applied, measured = Applied(None, None, is_new=False), None
    else:
        applied, measured = carry_out(folder, results.out, plan, measure=gain)
        if not json_:
            sys.stdout.write(lines(applied.sentence()))
            sys.stdout.write("\n" + lines(gain_text(measured)) if measured else "")
    results.publish_decisions()
    published = results.publish_versions(applied.folder) if applied.folder else None
    if published:
        (sys.stderr if json_ else sys.stdout).write(f"published: {published}\n")
    if json_:
        result = outcome(plan, applied, measured)
        sys.stdout.write(json_lines(json.dumps(result, indent=2, ensure_ascii=False)) + "\n")


def _agreed(changes: int) -> bool:
    return sys.stdin.isatty() and typer.confirm(
        f"Write a new version with {changes:,} changes?", default=False, err=True
    )


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
    out: Out = "data",
    image_root: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Label Studio: address that serves the pictures (default: inside the tasks)"
        ),
    ] = None,
) -> None:
    """Export the queue to Label Studio, or the decisions as CSV or Parquet."""
    from flows.results import Results  # noqa: PLC0415

    results = Results(out, run)
    # What is made of results on a store lies here: nobody looks into the folder that stands for it.
    beside = Path() if results.address else results.out
    if to is ExportFormat.label_studio:
        from tasks.review.label_studio import export_tasks  # noqa: PLC0415

        folder = _taken(results, run)
        config, tasks = export_tasks(
            folder, file or beside / "label-studio" / folder.name, image_root=image_root
        )
        sys.stdout.write(lines(f"labeling config: {config}\ntasks:           {tasks}\n"))
        return
    from tasks.review.export import export_decisions  # noqa: PLC0415

    target = file or beside / f"decisions.{to.value}"
    if target.suffix != f".{to.value}":
        raise InputError(
            "does not end as the format does", where=str(target), fix=f"name a file that ends in .{to.value}"
        )
    run_id = results.run().name if run else None
    results.fetch_decisions()
    rows = export_decisions(results.out, target, run_id=run_id)
    sys.stdout.write(f"{one_line(target)}: {rows:,} rows\n")


def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="queue.csv with decisions, or a JSON export of Label Studio"),
    ],
    *,
    source: Annotated[
        ImportFormat | None,
        typer.Option("--from", help="format (default: by the ending, .csv or .json)", show_default=False),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="run that the samples come from (default: the newest)")
    ] = None,
    reviewer: Annotated[
        str, typer.Option(metavar="NAME", help="CSV: who decided, where no column says so")
    ] = "spreadsheet",
    out: Out = "data",
) -> None:
    """Import decisions made elsewhere; nothing is imported if one row is wrong."""
    from flows.results import Results  # noqa: PLC0415

    form = source or _format_of(file)
    results = Results(out, run)
    folder = _taken(results, run)
    if form is ImportFormat.csv:
        from tasks.review.spreadsheet import import_csv  # noqa: PLC0415

        imported = import_csv(file, folder, results.out, reviewer=reviewer)
    else:
        from tasks.review.label_studio import import_label_studio  # noqa: PLC0415

        imported = import_label_studio(file, folder, results.out)
    sys.stdout.write(lines(f"{imported}\n"))
    results.publish_decisions()


def _format_of(file: Path) -> ImportFormat:
    """Read the format off the file's ending."""
    known = {".csv": ImportFormat.csv, ".tsv": ImportFormat.csv, ".json": ImportFormat.label_studio}
    if file.suffix.lower() not in known:
        raise InputError(
            "no ending that says what it is", where=str(file), fix="add --from csv or --from label-studio"
        )
    return known[file.suffix.lower()]


def diff(
    old: Annotated[str, typer.Argument(metavar="V1", help="version: 1, v0001, NAME/v0001, or its folder")],
    new: Annotated[str, typer.Argument(metavar="V2", help="version")],
    *,
    name: Name = None,
    out: Out = "data",
    json_: AsJson = False,
) -> None:
    """List what differs between two versions of a data set."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.correct import diff as difference  # noqa: PLC0415
    from tasks.apply.version import find_version, folder_of  # noqa: PLC0415

    results = Results(out)
    results.fetch_versions()
    folders = [folder_of(results.out, find_version(results.out, wanted, name)) for wanted in (old, new)]
    table = difference(*folders)
    rows = table.to_pylist()
    if json_:
        sys.stdout.write(json_lines(json.dumps(rows, indent=2, ensure_ascii=False)) + "\n")
        return
    for row in rows:
        change = (
            f"{row['change']:<8} {row['sample_id']}  {row['old_label'] or '-'} → {row['new_label'] or '-'}"
        )
        sys.stdout.write(one_line(change) + "\n")
    sys.stderr.write(f"labelsweep: {len(rows):,} differences\n")


def restore(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="version: 1, v0001, or NAME/v0001")],
    *,
    name: Name = None,
    out: Out = "data",
) -> None:
    """Make an older version of a data set the newest one again, as a new version."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.correct import restore as bring_back  # noqa: PLC0415
    from tasks.apply.version import find_version  # noqa: PLC0415

    results = Results(out)
    results.fetch_versions()
    applied = bring_back(results.out, find_version(results.out, version, name))
    found = "written" if applied.is_new else "is the newest already, nothing was written"
    sys.stdout.write(f"{one_line(applied.folder)}: {found}.\n")
    if applied.folder and (published := results.publish_versions(applied.folder)):
        sys.stdout.write(f"published: {published}\n")


def register(program: typer.Typer) -> None:
    """Add the commands to the program.

    >>> program = typer.Typer()
    >>> register(program)
    >>> [command.name for command in program.registered_commands]
    ['review', 'apply', 'export', 'import', 'diff', 'restore']
    """
    for name, command in COMMANDS.items():
        program.command(name)(command)


COMMANDS: dict[str, Callable[..., None]] = {
    "review": review,
    "apply": apply,
    "export": export,
    "import": import_,
    "diff": diff,
    "restore": restore,
}
