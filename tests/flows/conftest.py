"""One Prefect server for all tests that run flows in this process, and one run of the command itself."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flow_command import SECRETS, Ran, start
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the tests that start the command keep what a user's home would hold."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="session")
def demo(user_home: Path) -> Ran:
    """Sweep the bundled digits with the command, in a process of its own that cannot reach the internet."""
    process = start(["clean", "sample:digits", "--json"], user_home, **SECRETS)
    stdout, stderr = process.communicate(timeout=300)
    return Ran(process.returncode, stdout, stderr, user_home / "data", user_home / "network.log")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Run a throw-away Prefect server; keep Prefect's log off the terminal, as the command does."""
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        for handler in logging.getLogger().handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.setLevel(logging.CRITICAL)
        yield
