"""A cleaning run in this process: Prefect's settings, its temporary server, and the flow."""

import atexit
import gc
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.commands.console import Quiet
from flows.config import CleanParameters
from flows.signals import stop_if_asked
from tasks.errors import InputError, StoreError
from tasks.runs.lifecycle import check_writable

if TYPE_CHECKING:
    from flows.clean import Cleaned

# What a run in this process wants of the libraries, unless the user decided otherwise: no telemetry, nothing
# pickled.
_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # On a server that lasts, a run that falls silent for 90 s is given up (deploy/automations.yaml).
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Idle threads of the matrix library wait instead of spinning: beside other work (Prefect's server to begin with) two
    # cores finish the demo in less than half the processor time.
    "OMP_WAIT_POLICY": "PASSIVE",
}
# The run's log goes to Prefect's database; the terminal gets what a person must know, from us.
_NO_LOG_ON_TERMINAL = ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL")


def run_clean(parameters: CleanParameters, watcher: Quiet) -> "Cleaned":
    """Run the cleaning flow here and now.

    The imports below take seconds, and so does the server: they happen at the same time.

    Raises:
        LabelsweepError: What went wrong, in one line.
    """
    _look_ahead(parameters)
    warnings.simplefilter("ignore")  # those of the libraries; what concerns the user is in the report
    logging.raiseExceptions = False  # nor a traceback where a line of their logs cannot be written
    gc.disable()  # collecting while some thousand modules come in takes a second and frees nothing
    with _prefect(asks=parameters.wait_for_review) as wait_for_server:
        from flows.clean import Cleaned, clean_labels  # noqa: PLC0415
        from flows.platform.progress import display  # noqa: PLC0415

        gc.enable()
        wait_for_server()
        stop_if_asked()
        token = display.set(watcher)
        try:
            cleaned = clean_labels(parameters)
        finally:
            display.reset(token)
    if not isinstance(cleaned, Cleaned):
        raise TypeError(f"the flow ended without a result: {cleaned}")
    return cleaned


def _look_ahead(parameters: CleanParameters) -> None:
    """Find at once what needs no run to be found: nothing to read, nowhere to write, no such model.

    Raises:
        InputError: One of these.
    """
    from tasks.ingest.source import locate  # noqa: PLC0415

    locate(parameters.records_source().uri)
    if ":" in parameters.model and parameters.gpu_deployment is None:
        from tasks.networks.factory import load_factory  # noqa: PLC0415 (imports torch)

        load_factory(parameters.model)
    check_writable(parameters.out)


@contextmanager
def _prefect(*, asks: bool) -> Iterator[Callable[[], None]]:
    """Prepare Prefect; yield a function that returns when its server answers.

    Args:
        asks: Whether the run will ask somebody, for which it takes a server that others reach.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        for name in _NO_LOG_ON_TERMINAL:
            os.environ.setdefault(name, "CRITICAL")
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415
    from prefect.settings import (  # noqa: PLC0415
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        get_current_settings,
        temporary_settings,
    )

    settings = get_current_settings()
    if settings.api.url:
        _check_server()
        yield lambda: None
        return

    if asks:
        raise InputError(
            "nobody could answer: this run has a Prefect server of its own, without a UI",
            where="--wait-for-review",
            fix="start `prefect server start`, and set PREFECT_API_URL to it",
        )
    from flows.platform.server import TemporaryServer  # noqa: PLC0415

    server = TemporaryServer(settings.home)
    # At exit, not here: Prefect sends the last of its log and events while the interpreter shuts down, which
    # comes before this.
    atexit.register(server.stop)
    os.environ["PREFECT_API_URL"] = server.url
    refresh_global_settings_context()
    # Nobody listens for heartbeats on a server that ends with the run; their thread ends up to a second late.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield server.wait


def _check_server() -> None:
    """Ask the server that the user set whether it is there.

    Raises:
        StoreError: It is not.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.settings import get_current_settings  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
        try:
            if error is None:  # whatever answers there: it must be a Prefect server, and of our version
                client.raise_for_api_version_mismatch()
        except Exception as unfit:  # noqa: BLE001 (Prefect raises what its HTTP library does)
            error = unfit
    if error is not None:
        reason = str(error).partition("\n")[0]
        raise StoreError(
            f"no Prefect server answers ({type(error).__name__}: {reason})",
            where=f"PREFECT_API_URL={get_current_settings().api.url}",
            fix="start it with `prefect server start`, or unset PREFECT_API_URL to run without one",
        )
