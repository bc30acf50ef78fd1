"""The command `clean`: a sweep in this process, seen in Prefect where the user named a server."""

import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.signals import Interrupted, raise_on_sigterm
from tasks.errors import InputError
from tasks.queries import parse_query
from tasks.terminal import write_json_lines, write_lines

if TYPE_CHECKING:
    from flows.config import CleanParameters
    from flows.outcome import Cleaned


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
    open_report: Annotated[
        bool, typer.Option("--open", help="open the report in a browser at the end")
    ] = False,
) -> None:
    """Run the whole pipeline here and now: from labeled data to a queue and a report."""
    from flows.commands.config_file import merge_options  # noqa: PLC0415
    from flows.commands.console import choose_watcher  # noqa: PLC0415
    from flows.progress import add_watcher  # noqa: PLC0415

    parameters = merge_options(values, config)
    try:
        with add_watcher(choose_watcher(quiet=quiet)), raise_on_sigterm():
            cleaned = run_clean(parameters)
    except KeyboardInterrupt as error:
        raise Interrupted("; ".join(["interrupted", *getattr(error, "__notes__", [])])) from error
    summary = cleaned.summary.read_text(encoding="utf-8") if json else ""
    sys.stdout.write(write_json_lines(summary) if json else write_lines(cleaned.write_headline()))
    if open_report:
        typer.launch(str(cleaned.report))


def run_clean(parameters: "CleanParameters") -> "Cleaned":
    """Sweep here and now: as a flow run where the user named a Prefect server, without Prefect otherwise.

    A server of its own would cost a run twice what the sweep of a small data set does, and Prefect cannot run a flow without
    one. A run without a server is recorded when there is one (`flows.platform.record`).

    Raises:
        LabelsweepError: What went wrong, in one line.
    """
    from flows.platform.server import check_server, is_server_named, set_defaults  # noqa: PLC0415

    _look_ahead(parameters)
    warnings.simplefilter("ignore")  # those of the libraries; what concerns the user is in the report
    logging.raiseExceptions = False  # nor a traceback where a line of their logs cannot be written
    set_defaults()
    if not is_server_named():
        return _sweep_alone(parameters)
    check_server()
    from prefect import tags  # noqa: PLC0415

    from flows.clean import clean_labels  # noqa: PLC0415
    from flows.outcome import Cleaned  # noqa: PLC0415

    with tags("labelsweep"):
        cleaned = clean_labels(parameters)
    if not isinstance(cleaned, Cleaned):
        raise TypeError(f"the flow ended without a result: {cleaned}")
    return cleaned


def _sweep_alone(parameters: "CleanParameters") -> "Cleaned":
    from flows.outcome import check_noise  # noqa: PLC0415
    from flows.sweep import sweep  # noqa: PLC0415

    fix = "start `prefect server start`, and set PREFECT_API_URL to it"
    if parameters.wait_for_review:
        raise InputError("nobody could answer without a Prefect server", where="--wait-for-review", fix=fix)
    if parameters.gpu_deployment:
        raise InputError(
            "no worker can be reached without a Prefect server", where="--gpu-deployment", fix=fix
        )
    cleaned = sweep(parameters)
    check_noise(cleaned, parameters.max_noise)
    return cleaned


def _look_ahead(parameters: "CleanParameters") -> None:
    """Find at once what needs no run to be found: a store does not answer, or there is no such model."""
    source = parameters.make_source().uri
    if "://" in source and not parse_query(source):
        from tasks.ingest.source import locate  # noqa: PLC0415 (imports fsspec and pyarrow)

        locate(source)
    if ":" in parameters.model and parameters.gpu_deployment is None:
        from tasks.networks.factory import load_factory  # noqa: PLC0415 (imports torch)

        load_factory(parameters.model)
