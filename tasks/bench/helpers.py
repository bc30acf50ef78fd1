"""The tests' own helpers, such as a real review server or a Postgres of one's own, for benchmarks that need the same."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.errors import InputError

TESTS = Path(__file__).parents[2] / "tests"


def from_tests(folder: str, module: str) -> Any:  # noqa: ANN401 (a module without types)
    """Return a module of a folder of the tests.

    Raises:
        InputError: This is an installed package, without the tests.
    """
    if not (TESTS / folder / f"{module}.py").exists():
        raise InputError(
            "this benchmark uses helpers of the tests",
            where=str(TESTS),
            fix="run it in a copy of the repository",
        )
    if str(TESTS / folder) not in sys.path:
        sys.path.insert(0, str(TESTS / folder))
    return import_module(module)
