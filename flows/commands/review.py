"""The commands of the second half of the loop: review and apply here; export, import, diff and restore beside it.

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
from typing import Annotated

import typer

from flows.commands.common import AsJson, Out, Run, note, taken
from flows.commands.exchange import diff, export, import_, restore
from tasks.terminal import json_lines, lines

TOKEN_VARIABLE = "LABELSWEEP_REVIEW_TOKEN"  # noqa: S105 (the name of a variable)


class Rule(StrEnum):
    """How differing answers are resolved."""

    majority = "majority"
    unanimous = "unanimous"
    latest = "latest"


def review(
    run: Run = None,
    *,
    out: Out = None,
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
    from flows.platform.events import announce_reviewed  # noqa: PLC0415
    from flows.results import Results  # noqa: PLC0415
    from tasks.review.desk import ReviewOptions  # noqa: PLC0415
    from tasks.review.page.web import create_app, guard_for, is_local, listen, serve  # noqa: PLC0415
    from tasks.user_files import read_user_text  # noqa: PLC0415

    results = Results(out, run)
    folder = taken(results, run)
    results.fetch_decisions()
    if not is_local(host):
        token = token or secrets.token_urlsafe(18)
    options = ReviewOptions(
        second_opinion=second_opinion,
        hide_suggestion=hide_suggestion,
        worth=worth,
        guideline=read_user_text(guideline, "name a text file").strip() if guideline else "",
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
    address = _address(host, opened.getsockname()[1], token)

    def started() -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        sys.stderr.write(f"labelsweep: reviewing {folder.name}; Ctrl-C ends it, every decision is saved\n")
        if open_browser:
            typer.launch(address)

    with results.publishing(note):
        serve(app, opened, started)


def _address(host: str, port: int, token: str | None) -> str:
    """Return what a browser on this machine opens.

    >>> _address("0.0.0.0", 8765, "secret"), _address("::1", 80, None)
    ('http://127.0.0.1:8765/?token=secret', 'http://[::1]:80/')
    """
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 (compared)
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def apply(
    run: Run = None,
    *,
    out: Out = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write without asking")] = False,
    conflicts: Annotated[Rule, typer.Option(help="what counts where reviewers differ")] = Rule.majority,
    gain: Annotated[
        bool, typer.Option("--gain/--no-gain", help="refit and measure what the corrections are worth")
    ] = True,
    copy_images: Annotated[
        bool,
        typer.Option(
            "--copy-images", help="copy a folder of images with its corrections, beside the list of moves"
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Make a new version of the data set from the decisions, refit, and measure the gain."""
    warnings.simplefilter("ignore")  # those of the libraries that the refit imports
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.carry import carry_out  # noqa: PLC0415
    from tasks.apply.correct import Applied, plan_for  # noqa: PLC0415
    from tasks.apply.words import gain_text, outcome, plan_text  # noqa: PLC0415

    results = Results(out, run)
    folder = taken(results, run)
    results.fetch_decisions()
    results.fetch_versions()
    plan = plan_for(folder, results.out, conflicts.value)
    (sys.stderr if json_ else sys.stdout).write(lines(plan_text(plan)))
    if plan.changes and not yes and not _agreed(len(plan.changes)):
        sys.stderr.write("labelsweep: nothing was written; --yes applies it\n")
        applied, measured = Applied(None, None, is_new=False), None
    else:
        applied, measured = carry_out(folder, results.out, plan, measure=gain, copy_images=copy_images)
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
