"""What several benchmarks need: options that are lists, the command in a process of its own, and the tests' own helpers."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.errors import InputError, LabelsweepError

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def split_names(text: str) -> list[str]:
    """Return the names in a list such as `a,b`.

    >>> split_names("iris, wine,")
    ['iris', 'wine']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def choose_names(text: str, known: Iterable[str], what: str, where: str) -> list[str]:
    """Return the names in a list such as `a,b`; all that are known where it is empty.

    Raises:
        InputError: A name is unknown.

    >>> choose_names("pydvl", ["adamw", "pydvl"], "part", "--parts")
    ['pydvl']
    """
    names = split_names(text)
    for name in names:
        if name not in known:
            raise InputError(f"no {what} '{name}'", where=where, fix=f"choose from: {', '.join(known)}")
    return names or list(known)


def run_command(
    folder: Path, *arguments: str, patience: float = 3600, variables: Mapping[str, str] = {}
) -> str:
    """Run `labelsweep` in a folder, with a Prefect home of its own; return what it printed.

    Args:
        arguments: What follows `labelsweep`.
        patience: Seconds that it may take.

    Raises:
        LabelsweepError: It failed.
    """
    path = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(  # noqa: S603 (this program, by this interpreter)
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=folder,
        env={**kept, "PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    if done.returncode:
        raise LabelsweepError(f"labelsweep {' '.join(arguments)} failed", fix=done.stderr.strip()[-500:])
    return done.stdout


def sweep_file(folder: Path, source: str, *options: str) -> tuple[Any, pd.DataFrame]:
    """Sweep a file of a folder; return what the command printed as JSON, and the scores."""
    said = run_command(folder, "clean", source, *options, "--json", "--quiet", "--out", "out")
    return json.loads(said), pd.read_parquet(folder / "out" / "runs" / "latest" / "scores.parquet")


def sweep_frame(frame: pd.DataFrame, *options: str) -> tuple[Any, pd.DataFrame]:
    """Sweep a frame from a file; return what the command printed, and the scores by row, empty where one was set aside."""
    with tempfile.TemporaryDirectory() as name:
        frame.assign(row=range(len(frame))).to_parquet(Path(name) / "data.parquet", index=False)
        said, scores = sweep_file(Path(name), "data.parquet", "--id", "row", *options)
    return said, scores.set_index(scores["sample_id"].astype(int)).reindex(range(len(frame)))


def import_test_module(folder: str, module: str) -> Any:  # noqa: ANN401 (a module without types)
    """Return a module of a folder of the tests.

    Raises:
        InputError: This is an installed package, without the tests.
    """
    if not (TESTS / folder).exists():
        fix = "run it in a copy of the repository"
        raise InputError("this benchmark uses helpers of the tests", where=str(TESTS), fix=fix)
    if str(TESTS / folder) not in sys.path:
        sys.path.insert(0, str(TESTS / folder))
    return import_module(module)
