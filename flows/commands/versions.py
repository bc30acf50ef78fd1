"""The commands that make and compare versions of a data set: `apply`, `diff` and `restore`."""

import json
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.common import AsJson, Name, Out, OutWithoutRun, Run, find_run_or_name_it
from tasks.terminal import write_json_lines, write_lines, write_one_line

if TYPE_CHECKING:
    from tasks.apply.version import Version


class Rule(StrEnum):
    """How differing answers are resolved."""

    majority = "majority"
    unanimous = "unanimous"
    latest = "latest"


def apply(
    run: Run = None,
    *,
    out: Out = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="write without asking")] = False,
    conflicts: Annotated[
        Rule, typer.Option(help="which answer counts where reviewers differ")
    ] = Rule.majority,
    gain: Annotated[
        bool, typer.Option("--gain/--no-gain", help="refit and measure what the corrections are worth")
    ] = True,
    copy_images: Annotated[
        bool,
        typer.Option(
            "--copy-images", help="copy the folder of images or texts with its corrections, not just a list"
        ),
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(metavar="hub:OWNER/NAME", help="send the version to a data set of the Hugging Face Hub"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --push: list what would be sent, and send nothing")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Make a new version of the data set from the decisions, refit, and measure the gain."""
    warnings.simplefilter("ignore")  # those of the libraries that the refit imports
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.correct import Applied, plan_for  # noqa: PLC0415
    from tasks.apply.gain import write_and_measure_plan  # noqa: PLC0415
    from tasks.apply.messages import describe_gain, plan_text, summarise_outcome  # noqa: PLC0415
    from tasks.apply.push import find_repository  # noqa: PLC0415

    repository = find_repository(push, sends=not dry_run)
    say = (sys.stderr if json_ else sys.stdout).write
    results = Results(out, run)
    folder = find_run_or_name_it(results, run)
    results.fetch_decisions()
    results.fetch_versions()
    plan = plan_for(folder, results.out, conflicts.value)
    say(write_lines(plan_text(plan)))
    if plan.changes and not yes and not _confirm(len(plan.changes)):
        sys.stderr.write("labelsweep: nothing was written; --yes applies it\n")
        applied, measured = Applied(None, None, is_new=False), None
    else:
        applied, measured = write_and_measure_plan(
            folder, results.out, plan, measure=gain, copy_images=copy_images
        )
        if not json_:
            sys.stdout.write(write_lines(applied.write_sentence()))
            sys.stdout.write("\n" + write_lines(describe_gain(measured)) if measured else "")
    results.publish_decisions()
    if applied.folder and (published := results.publish_versions(applied.folder)):
        say(f"published: {published}\n")
    if repository and applied.folder and applied.version:
        say(write_lines(_push(applied.version, applied.folder, repository, dry_run=dry_run)))
    if json_:
        result = summarise_outcome(plan, applied, measured)
        sys.stdout.write(write_json_lines(json.dumps(result, indent=2, ensure_ascii=False)) + "\n")


def _push(version: "Version", folder: Path, repository: str, *, dry_run: bool) -> str:
    """Send a version to the Hub, or list what would be sent."""
    from tasks.apply.push import list_files, push_files  # noqa: PLC0415

    files = list_files(version, folder)
    if dry_run:
        sizes = {
            name: len(one) if isinstance(one, bytes) else one.stat().st_size for name, one in files.items()
        }
        listed = "".join(f"  {size:>13,} bytes  {name}\n" for name, size in sizes.items())
        return f"would be sent to {repository}:\n{listed}"
    message = f"{version.label}: {version.relabeled:,} relabeled, {version.dropped:,} dropped"
    return f"pushed: {push_files(files, repository, message)}\n"


def _confirm(changes: int) -> bool:
    return sys.stdin.isatty() and typer.confirm(
        f"Write a new version with {changes:,} changes?", default=False, err=True
    )


def diff(
    old: Annotated[str, typer.Argument(metavar="V1", help="version: 1, v0001, NAME/v0001, or its folder")],
    new: Annotated[str, typer.Argument(metavar="V2", help="version")],
    *,
    name: Name = None,
    out: OutWithoutRun = None,
    json_: AsJson = False,
) -> None:
    """List what differs between two versions of a data set."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.correct import compare_versions as difference  # noqa: PLC0415
    from tasks.apply.version import find_version, name_version_folder  # noqa: PLC0415

    results = Results(out)
    results.fetch_versions()
    folders = [
        name_version_folder(results.out, find_version(results.out, wanted, name)) for wanted in (old, new)
    ]
    table = difference(*folders)
    rows = table.to_pylist()
    if json_:
        sys.stdout.write(write_json_lines(json.dumps(rows, indent=2, ensure_ascii=False)) + "\n")
        return
    for row in rows:
        change = (
            f"{row['change']:<8} {row['sample_id']}  {row['old_label'] or '-'} → {row['new_label'] or '-'}"
        )
        sys.stdout.write(write_one_line(change) + "\n")
    sys.stderr.write(f"labelsweep: {len(rows):,} differences\n")


def restore(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="version: 1, v0001, or NAME/v0001")],
    *,
    name: Name = None,
    out: OutWithoutRun = None,
) -> None:
    """Make an older version of a data set the newest one again, as a new version."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.apply.correct import restore_version as bring_back  # noqa: PLC0415
    from tasks.apply.version import find_version  # noqa: PLC0415

    results = Results(out)
    results.fetch_versions()
    applied = bring_back(results.out, find_version(results.out, version, name))
    found = "written" if applied.is_new else "is the newest already, nothing was written"
    sys.stdout.write(f"{write_one_line(applied.folder)}: {found}.\n")
    if applied.folder and (published := results.publish_versions(applied.folder)):
        sys.stdout.write(f"published: {published}\n")
