"""`summary.json`: what a program wants to know of a finished run."""

import math
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tasks.attribute.doubts import read_doubts
from tasks.attribute.step import NOISE
from tasks.controls.trust import judge_trust
from tasks.ingest.leaks.search import REPEATS, list_reasons
from tasks.options import AuditOptions
from tasks.records import Encoding, FittedRound, Queue, Scores
from tasks.report.quality import read_quality
from tasks.show.scores import ScoreColumns
from tasks.show.view import RunView

Summary = dict[str, Any]

# That of docs/summary.schema.json: it changes where a field goes away or means something else.
SCHEMA_VERSION = 1

# What may give the label away in content that has no columns.
_SEPARATED = {
    "image": "a single number of each picture tells {} of what there is to tell of the label, as where every class has a mark, "
    "a border or a brightness of its own",
    "embedding": "a single number of each embedding tells {} of what there is to tell of the label, as where it was made from "
    "the label",
}

_VALIDATION = ("rows_in", "quarantined", "reasons", "conflicting", "duplicates")

# The distributions that decide the numbers.
_DISTRIBUTIONS = (
    *("labelsweep", "torch", "pydvl", "prefect", "great_expectations"),
    *("numpy", "pandas", "pyarrow", "scikit-learn", "matplotlib"),
)


def summarise(folder: Path) -> Summary:
    """Return the summary of the run in `folder`; a part whose files are missing is absent.

    Influences and scores in it follow the one convention: positive = helpful, lower = more likely mislabeled.

    >>> import tempfile
    >>> sorted(summarise(Path(tempfile.mkdtemp())))
    ['quality', 'run_id', 'schema_version', 'steps', 'versions']
    """
    return summarise_run(RunView(folder))


def summarise_run(view: RunView) -> Summary:
    """Return the summary of a run that is already open."""
    parts: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": view.run_id,
        "source": view.dataset.uri if view.dataset else None,
        "data": _summarize_data(view),
        "validation": view.validation.model_dump(include=set(_VALIDATION)) if view.validation else None,
        "audit": _audit(view),
        "queue": _summarize_queue(view),
        "oddities": _summarize_oddities(view),
        "convergence": _summarize_convergence(view),
    }
    summary = {name: part for name, part in parts.items() if part is not None}
    summary["quality"] = read_quality(view.scores, view.path("baselines.parquet")) if view.scores else None
    keys = ("step", "seconds", "peak_memory_mb")
    steps = [({key: step[key] for key in keys}, _count_rows(step["record"])) for step in view.steps]
    summary["steps"] = [{**cost, "rows": rows} for cost, rows in steps]
    summary["versions"] = read_package_versions()
    return summary


def _summarize_data(view: RunView) -> Summary | None:
    if view.dataset is None:
        return None
    encoding = view.record(Encoding)
    groups = encoding.features.groups if encoding else None
    found: Summary = {
        "rows": view.dataset.rows,
        **({"groups": groups.model_dump(exclude={"path"})} if groups else {}),
        "classes": _count_classes(view.scores) if view.scores else dict.fromkeys(view.dataset.classes),
        # The columns of a table as its reader knows them; the models see more numbers, or fewer.
        "features": len(view.dataset.columns or view.feature_names),
        "payload": view.dataset.payload,
    }
    return found | ({"leaks": view.dataset.leaks} if view.dataset.leaks else {})


def _count_classes(scores: ScoreColumns) -> dict[str, int]:
    counts = np.bincount(scores.given[scores.given >= 0], minlength=len(scores.classes))
    return {name: int(count) for name, count in zip(scores.classes, counts, strict=True) if count}


def _audit(view: RunView) -> Summary | None:
    """Return the options, as far as they were written down, and what was chosen by itself."""
    chosen = {name: view.config[name] for name in AuditOptions.model_fields if name in view.config}
    model, encoding = view.record(FittedRound), view.record(Encoding)
    if model:
        chosen |= {"folds": model.folds, "rounds": model.round}
    if encoding:
        named = chosen.get("model", "auto")
        named = encoding.choice.model if named == "auto" else named
        chosen |= {"model": named, "model_since": encoding.choice.why}
        chosen |= {"encoder_used": encoding.encoder} if encoding.encoder else {}
        chosen |= {"opinions": [one.model_dump() for one in encoding.opinions], "alone": encoding.alone}
    ensemble = (model.members if model else ()) or (encoding.members if encoding else ())
    if ensemble:
        members = [member.model_dump() for member in ensemble]
        names = ", ".join(member.name for member in ensemble)
        chosen |= {"feature_map": names, "l2": ensemble[0].l2, "members": members}
    return chosen or None


def _summarize_queue(view: RunView) -> Summary | None:
    if view.scores is None:
        return None
    flagged = int(view.scores.flagged.sum())
    queued = view.record(Queue)
    found: Summary = {
        "flagged": flagged,
        "queued": view.queued,
        "queued_unflagged": queued.unflagged if queued else 0,
        "still_open": queued.still_open if queued else 0,
    }
    if queued or view.queued:
        found |= {"parquet": str(view.folder / "queue.parquet"), "csv": str(view.folder / "queue.csv")}
    controls = view.json("controls.json")
    if isinstance(controls, dict):
        found |= {"controls": controls}
    if why := explain_distrust(view):
        if "controls" in found:  # how many were planted and found, without what follows from it
            found["controls"] = {name: value for name, value in controls.items() if isinstance(value, int)}
        return found | {"untrusted": why, "estimated_noise_rate": None}
    found |= _summarize_noise(view, view.scores, controls)
    estimate = (controls or {}).get("noise_rate", {}).get("estimate")
    share = flagged / len(view.scores) if len(view.scores) else None
    return found | {"estimated_noise_rate": share if estimate is None else estimate}


def _summarize_noise(view: RunView, scores: ScoreColumns, controls: Summary | None) -> Summary:
    """Return what errors depend on, and how far the queue can be trusted."""
    model = view.record(FittedRound)
    known = view.json(f"model/round-{model.round}/{NOISE}") if model else None
    if known is None:
        return {}
    largest = float(np.bincount(scores.given[scores.given >= 0]).max() / len(scores))
    trust = judge_trust(read_doubts(known), largest, controls, view.dataset.payload if view.dataset else "")
    noise = {"noise": {name: value for name, value in known.items() if name != "ways"}}
    return noise | ({"trust": asdict(trust)} if trust else {})


def explain_distrust(view: RunView) -> str:
    """Return why no estimate of this run can be trusted: something that was learned from gives the label away."""
    if view.dataset is None:
        return ""
    reasons = [list_reasons(view.dataset.suspects)] if view.dataset.suspects else []
    telling = (view.json("oddities.json") or {}).get("telling_features", [])
    most = max((one["told"] for one in telling), default=0.0)
    # Nobody chose the numbers that stand for a picture or an embedding: which of them it is helps nobody.
    if most >= REPEATS and (words := _SEPARATED.get(view.dataset.payload)):
        reasons.append(words.format(f"{most:.1%}"))
    return "; ".join(reasons)


def _summarize_oddities(view: RunView) -> Summary | None:
    """Return what stands out beside the queue; identical content under different labels is counted with it."""
    found = view.json("oddities.json")
    if not isinstance(found, dict):
        return None
    conflicting = view.validation.conflicting if view.validation else 0
    return {"identical_with_different_labels": conflicting, **found}


def _summarize_convergence(view: RunView) -> Summary | None:
    """Return the worst fit and the worst solve, and whether all of them reached their tolerance."""
    entries = view.json("model/convergence.json")
    model, scores = view.record(FittedRound), view.record(Scores)
    records = [record.converged for record in (model, scores) if record]
    if entries is None and not records:
        return None
    fits, solves = ((entries or {}).get(part) or [] for part in ("fit", "solve"))
    found: Summary = {"fit": _find_worst(fits, "gradient_norm"), "solve": _find_worst(solves, "residual")}
    if not fits and model:
        found["fit"] = {"gradient_norm": model.gradient_norm, "iterations": model.iterations}
    if not solves and scores:
        found["solve"] = {"residual": scores.residual}
    converged = all(entry.get("converged", False) for entry in [*fits, *solves]) and all(records)
    return {**found, "converged": converged}


def _find_worst(entries: list[Mapping[str, Any]], measure: str) -> Summary | None:
    if not entries:
        return None
    return {
        "count": len(entries),
        "not_converged": sum(not entry.get("converged", False) for entry in entries),
        measure: find_largest(entry.get(measure) for entry in entries),
        "iterations": find_largest(entry.get("iterations") for entry in entries),
    }


def find_largest(values: Iterable[float | None]) -> float | None:
    """Return the largest value; what is not a number is worse than any number."""
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: math.inf if math.isnan(value) else value, default=None)


def _count_rows(record: Mapping[str, Any]) -> int | None:
    """Return how many rows a step left behind, where its record says so."""
    inner = record.get("dataset", record)
    rows = inner.get("rows") if isinstance(inner, Mapping) else None
    return int(rows) if rows is not None else None


def read_package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers.

    >>> sorted(read_package_versions())[:3]
    ['great_expectations', 'labelsweep', 'matplotlib']
    """
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
