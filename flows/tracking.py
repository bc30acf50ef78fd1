"""What an experiment tracker is told of a finished run: its parameters, its figures, its report and its queue.

Where the tracker keeps them, its own variables say: MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, WANDB_PROJECT and WANDB_MODE.
"""

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InputError
from tasks.storage import read_json

TRACKERS = ("mlflow", "wandb")
# What is kept with a run; the queue's CSV holds no images.
FILES = ("summary.json", "report.html", "queue.csv", "config.yaml")
PROJECT = "labelsweep"


def check_tracker(name: str) -> None:
    """Check that a tracker is there, before a run that it will be told of.

    Raises:
        InputError: It is unknown, or not installed.
    """
    if name not in TRACKERS:
        raise InputError(f"unknown tracker '{name}'", where="--track", fix=f"choose {' or '.join(TRACKERS)}")
    if find_spec(name) is None:
        raise InputError(f"{name} is not installed", where="--track", fix=f"pip install 'labelsweep[{name}]'")


def track(name: str, folder: Path) -> None:
    """Tell a tracker of a finished run.

    Args:
        name: `mlflow` or `wandb`.
    """
    parameters = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    given = {key: value for key, value in parameters.items() if value is not None}
    measured = dict(list_figures(read_json(folder / "summary.json")))
    files = [folder / file for file in FILES if (folder / file).is_file()]
    (_log_to_mlflow if name == "mlflow" else _log_to_wandb)(folder.name, given, measured, files)


def list_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the figures of `summary.json` by their path, and the seconds and memory of each step by its name.

    >>> dict(list_figures({"queue": {"flagged": 3}, "steps": [{"step": "fit", "seconds": 2, "peak_memory_mb": 9}]}))
    {'queue.flagged': 3.0, 'steps.fit.seconds': 2.0, 'steps.fit.peak_memory_mb': 9.0}
    """
    for key in ("data", "validation", "queue", "quality", "oddities", "convergence"):
        yield from _flatten_numbers(key, summary.get(key))
    for step in summary["steps"]:
        for key in ("seconds", "peak_memory_mb"):
            yield f"steps.{step['step']}.{key}", float(step[key])


def _flatten_numbers(path: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flatten_numbers(f"{path}.{key}", part)
    elif isinstance(value, int | float):
        yield path, float(value)


def _log_to_mlflow(
    run: str, given: Mapping[str, Any], measured: Mapping[str, float], files: list[Path]
) -> None:
    import mlflow  # noqa: PLC0415 (an extra, and a second to import)

    if not (os.environ.get("MLFLOW_EXPERIMENT_NAME") or os.environ.get("MLFLOW_EXPERIMENT_ID")):
        mlflow.set_experiment(PROJECT)
    with mlflow.start_run(run_name=run):
        mlflow.log_params({key: str(value)[:500] for key, value in given.items()})
        # The names of classes are in some keys; a tracker takes letters, digits and a few signs.
        mlflow.log_metrics({_clean_key(key): value for key, value in measured.items()})
        for file in files:
            mlflow.log_artifact(str(file))


def _log_to_wandb(
    run: str, given: Mapping[str, Any], measured: Mapping[str, float], files: list[Path]
) -> None:
    import wandb  # noqa: PLC0415 (an extra, and a second to import)

    project = os.environ.get("WANDB_PROJECT", PROJECT)
    with wandb.init(project=project, name=run, config=dict(given), reinit="finish_previous") as opened:
        opened.log(dict(measured))
        kept = wandb.Artifact(_clean_key(run).replace("/", "-").replace(" ", "-"), type="sweep")
        for file in files:
            kept.add_file(str(file))
        opened.log_artifact(kept)


def _clean_key(key: str) -> str:
    """Return a key of the signs that trackers allow.

    >>> _clean_key("data.classes.Köln (alt)")
    'data.classes.Köln _alt_'
    """
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in key)
