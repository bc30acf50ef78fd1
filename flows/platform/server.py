"""The Prefect server that a user named: whether there is one, whether it answers, and what our commands want of it."""

import os
import sys
from pathlib import Path

from tasks.errors import InputError, StoreError

# What a run in this process wants of the libraries, unless the user decided otherwise: no telemetry, nothing pickled.
_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # A run that falls silent for 90 s is given up (deploy/automations.yaml).
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Idle threads of the matrix library wait instead of spinning: beside other work two cores finish the demo in less than
    # half the processor time.
    "OMP_WAIT_POLICY": "PASSIVE",
}
# The run's log goes to Prefect's server; the terminal gets what a person must know, from us.
_NO_LOG_ON_TERMINAL = ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL")


def set_defaults() -> None:
    """Set in the environment what our commands want of the libraries and the user did not decide."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        for name in _NO_LOG_ON_TERMINAL:
            os.environ.setdefault(name, "CRITICAL")


def is_server_named() -> bool:
    """Return whether the user named a Prefect server, in the environment or in a file of settings.

    Prefect takes over a second to import: it is only asked where something may name one.
    """
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    files = (profiles, Path("prefect.toml"), Path("pyproject.toml"), Path(".env"))
    if "PREFECT_API_URL" not in os.environ and "prefect" not in sys.modules and not any(map(_has_url, files)):
        return False
    from prefect.settings import get_current_settings  # noqa: PLC0415

    return bool(get_current_settings().api.url)


def _has_url(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
    return "url" in text and ("prefect" in text or file.name == "prefect.toml")


def require_server() -> None:
    """Set the defaults, and check that the user named a server and that it is there.

    Raises:
        InputError: None is named.
        StoreError: It is not there, or it is no Prefect server of our version.
    """
    set_defaults()
    if not is_server_named():
        fix = "set it to http://127.0.0.1:4200/api"
        raise InputError("no Prefect server is named", where="PREFECT_API_URL", fix=fix)
    check_server(is_needed=True)


def check_server(*, is_needed: bool = False) -> None:
    """Ask the server that the user named whether it is there.

    Args:
        is_needed: Whether nothing can be done without one.

    Raises:
        StoreError: It is not, or it is no Prefect server of our version.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.settings import get_current_settings  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
        try:
            if error is None:  # whatever answers there
                client.raise_for_api_version_mismatch()
        except Exception as unfit:  # noqa: BLE001 (Prefect raises what its HTTP library does)
            error = unfit
    if error is not None:
        reason = str(error).partition("\n")[0]
        raise StoreError(
            f"no Prefect server answers ({type(error).__name__}: {reason})",
            where=f"PREFECT_API_URL={get_current_settings().api.url}",
            fix="start it with `prefect server start`"
            + ("" if is_needed else ", or unset PREFECT_API_URL to run without one"),
        )
