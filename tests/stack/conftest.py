"""One stack for all tests: `make serve` on Postgres where one can be started, on SQLite otherwise."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from local_stack import Stack
from postgres_server import binaries, free_port, postgres

from tasks.synthesize import synthesize


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    programs = binaries()
    # Runs give a sign of life every 30 s; the shipped 90 s of silence would only make the tests wait.
    variables = {"LABELSWEEP_LOST_AFTER": "40"}
    with ExitStack() as exits:
        if programs:
            variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = exits.enter_context(postgres(programs))
        one = Stack(tmp_path_factory.mktemp("stack"), free_port(), variables)
        one.start()
        try:
            yield one
        finally:
            if one.process.poll() is None:
                one.stop()


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small data set with planted errors."""
    path = tmp_path_factory.mktemp("blobs") / "blobs.parquet"
    return synthesize(path, rows=400, dimension=4, sigma=0.4, flips=0.05, seed=0)
