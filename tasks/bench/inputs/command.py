"""`labelsweep bench inputs`: mixed tables and texts from the raw file to the queue, beside what a user would build by hand.

Questions, all on the same folds and the same wrong labels:

- tables: the audit beside cleanlab on out-of-fold probabilities of `HistGradientBoostingClassifier`, which takes gaps and
  categories as they are; a share of the labels is exchanged, uniformly or for the next class;
- texts: the label of one rater against the majority of all raters, real errors of people, beside cleanlab on TF-IDF and
  logistic regression fitted anew in every fold;
- images: the audit that sees pixels and edges beside the one that sees pixels alone, and cleanlab on a logistic regression of
  the pixels;
- embeddings, predicted probabilities, an own model, a Hugging Face data set: the command itself on such a file
  (`tasks.bench.inputs.through_command`);
- several raters of each text: the command beside cleanlab's scores for several annotators (`tasks.bench.inputs.raters`);
- does it matter that our encoders see all rows at once: the same logistic regression on an encoder fitted on everything,
  and on one fitted on the training rows of each fold.

Average precision (AP) of finding the wrong labels, means over seeds; for tables and texts also how good what is flagged is (F1),
beside the best F1 that any number of samples from the front of the same queue would have.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from tasks.bench.command import CACHE, Cache, Page
from tasks.bench.datasets import Bools, Floats, Ints
from tasks.bench.inputs.raw_sets import RawSet, images, tables, texts
from tasks.bench.inputs.through_command import regression, words
from tasks.bench.inputs.through_command import rows as rows_of_inputs
from tasks.bench.quality.case import FOLDS
from tasks.bench.quality.metrics import best_f1, f1
from tasks.bench.tables import markdown as table_of
from tasks.bench.tables import publish

NOISE = (("uniform", 0.1), ("next class", 0.2))
Score = Callable[[RawSet, Ints, int], Floats]
# What is said of our own queue, from one audit.
QUEUE = ("labelsweep", "labelsweep, influence alone", "F1 of the flagged", "best F1 of any cut")


def run_inputs(
    *,
    seeds: Annotated[int, typer.Option(metavar="N", help="seeds of errors and folds")] = 2,
    rows: Annotated[int, typer.Option(metavar="N", help="most rows of a table")] = 2_000,
    cache: Cache = CACHE,
    only: Annotated[
        Literal["tables", "texts", "images", "command", "raters"] | None, typer.Option(help="one part of it")
    ] = None,
    markdown: Page = None,
) -> None:
    """Mixed tables, images and texts from the raw file, beside what a user would build by hand."""
    drawn = range(seeds)
    parts: dict[str, Callable[[], str]] = {
        "tables": lambda: _tables(drawn, rows),
        "images": lambda: _images(drawn),
        "texts": lambda: _texts(drawn, _made(cache)),
        "command": lambda: _command(drawn),
        "raters": lambda: _raters(drawn, _made(cache).absolute()),
    }
    publish("\n".join(make() for name, make in parts.items() if only in (None, name)), markdown)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tables(seeds: Sequence[int], most: int) -> str:
    methods: dict[str, Score] = {
        "cleanlab, HistGradientBoosting": _boosting,
        "cleanlab, our encoder + LR": lambda data, given, seed: _regression(data, given, seed, once=True),
        "same, encoder per fold": lambda data, given, seed: _regression(data, given, seed, once=False),
    }
    rows = []
    for data in tables(most):
        for kind, rate in NOISE:
            values = []
            for seed in seeds:
                given = planted(data.labels, kind, rate, seed)
                values.append(_queue(data, given, seed) + _measured(data, given, seed, methods))
            rows.append((f"{data.name} ({len(data.labels):,}), {kind} {rate:.0%}", np.mean(values, axis=0)))
    return _means("Mixed tables", (*QUEUE, *methods), rows)


def _images(seeds: Sequence[int]) -> str:
    rows = []
    names: tuple[str, ...] = ()
    for data, shape in images():
        methods: dict[str, Score] = {
            "labelsweep": lambda data, given, seed, shape=shape: _seen(data, given, seed, shape),  # type: ignore[misc]
            "labelsweep, pixels alone": _ours,
            "cleanlab, pixels + LR": lambda data, given, seed: _regression(data, given, seed, once=True),
        }
        names = tuple(methods)
        for kind, rate in NOISE:
            values = [
                _measured(data, planted(data.labels, kind, rate, seed), seed, methods) for seed in seeds
            ]
            rows.append((f"{data.name} ({len(data.labels):,}), {kind} {rate:.0%}", np.mean(values, axis=0)))
    return _means("Images", names, rows)


def _texts(seeds: Sequence[int], cache: Path) -> str:
    methods: dict[str, Score] = {
        "cleanlab, TF-IDF + LR": _words,
        "cleanlab, our encoder + LR": lambda data, given, seed: _regression(data, given, seed, once=True),
        "same, encoder per fold": lambda data, given, seed: _regression(data, given, seed, once=False),
    }
    found: dict[str, list[list[float]]] = {}
    for seed in seeds:
        for data in texts(cache, seed):
            given = data.labels if data.given is None else data.given
            wrong = float(np.mean(given != data.labels))
            name = f"{data.name} ({len(given):,}), {wrong:.0%} wrong"
            values = _queue(data, given, seed) + _measured(data, given, seed, methods)
            found.setdefault(name.rsplit(",", 1)[0], []).append(values)
    means = [(name, np.mean(v, axis=0)) for name, v in found.items()]
    return _means("Texts, one rater", (*QUEUE, *methods), means)


def _command(seeds: Sequence[int]) -> str:
    found: dict[tuple[str, str], list[list[float]]] = {}
    for seed in seeds:
        plants = {
            f"{kind} {rate:.0%}": lambda labels, kind=kind, rate=rate, seed=seed: planted(
                labels, kind, rate, seed
            )
            for kind, rate in NOISE
        }
        for name, ours, peer, theirs in rows_of_inputs(plants, seed):  # type: ignore[arg-type]
            found.setdefault((name, peer), []).append([ours, theirs])
            sys.stderr.write(f"{name}, seed {seed}: labelsweep {ours:.3f}, {peer} {theirs:.3f}\n")
            sys.stderr.flush()
    lines = []
    for (name, peer), values in found.items():
        ours, theirs = np.mean(values, axis=0)
        lines.append([name, peer, f"{ours:.3f}", f"{theirs:.3f}"])
    return table_of(["", "the peer", "labelsweep", "the peer's"], lines, title="Through the command", words=2)


def _raters(seeds: Sequence[int], cache: Path) -> str:
    from tasks.bench.inputs.raters import METHODS, rows  # noqa: PLC0415 (starts processes)

    return _means("Three raters of each text", METHODS, list(rows(seeds, cache)))


def planted(labels: Ints, kind: str, rate: float, seed: int) -> Ints:
    """Return labels with a share of them exchanged.

    >>> bool((planted(np.array([0, 1, 2] * 100), "next class", 0.2, 0) != np.array([0, 1, 2] * 100)).any())
    True
    """
    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    step = generator.integers(1, classes, len(labels)) if kind == "uniform" else 1
    return np.asarray(np.where(generator.random(len(labels)) < rate, (labels + step) % classes, labels))


def _measured(data: RawSet, given: Ints, seed: int, methods: dict[str, Score]) -> list[float]:
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 (seconds to import)

    wrong: Bools = given != data.labels
    found = []
    for name, score in methods.items():
        started = time.perf_counter()
        found.append(float(average_precision_score(wrong, -score(data, given, seed))))
        sys.stderr.write(
            f"{data.name}, seed {seed}: {name} {found[-1]:.3f} ({time.perf_counter() - started:.1f} s)\n"
        )
    return found


def _audit(data: RawSet, given: Ints, seed: int) -> Any:  # noqa: ANN401 (an Audit)
    from tasks.attribute import AuditOptions, audit  # noqa: PLC0415 (imports torch)

    options = AuditOptions(seed=seed, device="cpu")
    features = data.features()
    return audit(features, given, options, shared=features.shape[1] if isinstance(data.rows, list) else 0)


def _queue(data: RawSet, given: Ints, seed: int) -> list[float]:
    """Return what `QUEUE` names."""
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 (seconds to import)

    audited = _audit(data, given, seed)
    wrong: Bools = given != data.labels
    return [
        float(average_precision_score(wrong, -audited.score)),
        float(average_precision_score(wrong, -audited.influence)),
        f1(wrong, audited.flagged),
        best_f1(wrong, audited.score),
    ]


def _ours(data: RawSet, given: Ints, seed: int) -> Floats:
    return np.asarray(_audit(data, given, seed).score, dtype=np.float64)


def _seen(data: RawSet, given: Ints, seed: int, shape: tuple[int, ...]) -> Floats:
    """Return the scores of an audit that knows that these are images."""
    from tasks.attribute import AuditOptions, audit  # noqa: PLC0415 (imports torch)

    options = AuditOptions(seed=seed, device="cpu")
    return np.asarray(audit(data.features(), given, options, feature_shape=shape).score, dtype=np.float64)


def _margin(given: Ints, seed: int, predict: Callable[[Ints, Ints], tuple[Ints, Floats]]) -> Floats:
    """Return cleanlab's normalized margin on out-of-fold probabilities.

    Args:
        given: Labels.
        seed: Of the folds.
        predict: From the rows to fit on and those held out to the classes and their probabilities.
    """
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (belongs to the bench extra)
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    probabilities = np.full((len(given), int(given.max()) + 1), 1e-9)
    for fit, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(given, given):
        classes, found = predict(fit, held)
        probabilities[np.ix_(held, classes)] = np.maximum(found, 1e-9)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return np.asarray(get_label_quality_scores(given, probabilities, method="normalized_margin"))


def _boosting(data: RawSet, given: Ints, seed: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    words = [name for name in data.rows if data.rows[name].dtype.kind not in "biuf"]
    frame = data.rows.astype(dict.fromkeys(words, "category"))

    def predict(fit: Ints, held: Ints) -> tuple[Ints, Floats]:
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        model.fit(frame.iloc[fit], given[fit])
        return model.classes_, model.predict_proba(frame.iloc[held])

    return _margin(given, seed, predict)


def _regression(data: RawSet, given: Ints, seed: int, *, once: bool) -> Floats:
    """Fit a logistic regression on our encoder's features, the encoder fitted once or anew on each fold's training rows."""
    shared = data.fit(data.rows) if once else None

    def predict(fit: Ints, held: Ints) -> tuple[Ints, Floats]:
        encode = shared or data.fit(data.part(fit))
        model = regression()
        model.fit(encode(data.part(fit)), given[fit])
        return model[-1].classes_, model.predict_proba(encode(data.part(held)))

    return _margin(given, seed, predict)


def _words(data: RawSet, given: Ints, seed: int) -> Floats:
    def predict(fit: Ints, held: Ints) -> tuple[Ints, Floats]:
        model = words().fit(data.part(fit), given[fit])
        return model[-1].classes_, model.predict_proba(data.part(held))

    return _margin(given, seed, predict)


def _means(title: str, methods: Sequence[str], rows: Sequence[tuple[str, Floats]]) -> str:
    """Return the table with the means of its columns below."""
    mean = np.mean([values for _, values in rows], axis=0)
    shown = [[name, *(f"{v:.3f}" for v in values)] for name, values in [*rows, ("**mean**", mean)]]
    return table_of(["", *methods], shown, title=title)
