"""`labelsweep bench inputs`: mixed tables and texts from the raw file to the queue, beside what a user would build by hand.

Questions, all on the same folds and the same wrong labels:

- tables: the audit beside cleanlab on out-of-fold probabilities of `HistGradientBoostingClassifier`, which takes gaps and
  categories as they are; a share of the labels is exchanged, uniformly or for the next class;
- texts: the label of one rater against the majority of all raters, real errors of people, beside cleanlab on TF-IDF and
  logistic regression fitted again in every fold;
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

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer

from tasks.attribute import Audit, AuditOptions, audit
from tasks.bench.command import CACHE, Cache, Page, count_of
from tasks.bench.datasets import Floats, Ints
from tasks.bench.inputs import peers, raters
from tasks.bench.inputs.raw_sets import RawSet, images, tables, texts
from tasks.bench.inputs.through_command import judge_inputs
from tasks.bench.quality.metrics import average_precision, best_f1, f1
from tasks.bench.stopwatch import time_call
from tasks.bench.tables import format_table as table_of
from tasks.bench.tables import publish_tables
from tasks.encode.cache import embed_contents
from tasks.encode.packaged import PACKAGED, Paced, Packaged

NOISE = (("uniform", 0.1), ("next class", 0.2))
Score = Callable[[RawSet, Ints, int], Floats]
ENCODERS: dict[str, Score] = {
    "cleanlab, our encoder + LR": peers.encoder_once,
    "same, encoder per fold": peers.encoder_by_fold,
}


def run_inputs(
    *,
    seeds: Annotated[int, count_of("seeds of errors and folds")] = 2,
    rows: Annotated[int, count_of("most rows of a table")] = 2_000,
    cache: Cache = CACHE,
    only: Annotated[
        Literal["tables", "texts", "images", "command", "raters"] | None, typer.Option(help="one part of it")
    ] = None,
    markdown: Page = None,
) -> None:
    """Mixed tables, images and texts from the raw file, beside what a user would build by hand."""
    drawn = range(seeds)
    cache.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], str]] = {
        "tables": lambda: _tables(drawn, rows),
        "images": lambda: _images(drawn),
        "texts": lambda: _texts(drawn, cache),
        "command": lambda: _command(drawn),
        "raters": lambda: _means("Three raters of each text", raters.rows(drawn, cache.absolute())),
    }
    publish_tables("\n".join(make() for name, make in parts.items() if only in (None, name)), markdown)


def _tables(seeds: Sequence[int], most: int) -> str:
    methods = {"cleanlab, HistGradientBoosting": peers.boosting} | ENCODERS
    found = (
        (name, _queue(data, given, seed) | _measure(data, given, seed, methods))
        for data in tables(most)
        for name, given, seed in _settings(data, seeds)
    )
    return _means("Mixed tables", found)


def _images(seeds: Sequence[int]) -> str:
    found = (
        (name, _measure(data, given, seed, _methods_of_images(shape)))
        for data, shape in images()
        for name, given, seed in _settings(data, seeds)
    )
    return _means("Images", found)


def _methods_of_images(shape: tuple[int, ...]) -> dict[str, Score]:
    return {
        "labelsweep": lambda data, given, seed: _audit(data, given, seed, shape).score,
        "labelsweep, pixels alone": lambda data, given, seed: _audit(data, given, seed).score,
        "cleanlab, pixels + LR": peers.encoder_once,
    }


def _settings(data: RawSet, seeds: Sequence[int]) -> Iterator[tuple[str, Ints, int]]:
    """Yield each kind of error with each seed: its name, the given labels, the seed."""
    for kind, rate in NOISE:
        for seed in seeds:
            name = f"{data.name} ({len(data.labels):,}), {kind} {rate:.0%}"
            yield name, exchange_labels(data.labels, kind, rate, seed), seed


def _texts(seeds: Sequence[int], cache: Path) -> str:
    packaged = PACKAGED["text"]
    methods: dict[str, Score] = {
        f"labelsweep, with {packaged.name}": partial(_with_encoder, packaged, cache),
        "cleanlab, TF-IDF + LR": peers.tf_idf,
    }
    methods |= ENCODERS

    def rows() -> Iterable[tuple[str, dict[str, float]]]:
        for seed in seeds:
            for data in texts(cache, seed):
                given = data.labels if data.given is None else data.given
                found = _queue(data, given, seed) | _measure(data, given, seed, methods)
                yield f"{data.name} ({len(given):,})", found

    return _means("Texts, one rater", rows())


def _command(seeds: Sequence[int]) -> str:
    found = []
    for seed in seeds:
        plants = {
            f"{kind} {rate:.0%}": partial(exchange_labels, kind=kind, rate=rate, seed=seed)
            for kind, rate in NOISE
        }
        for name, ours, peer, theirs in judge_inputs(plants, seed):
            found.append({"": name, "the peer": peer, "labelsweep": ours, "the peer's": theirs})
            sys.stderr.write(f"{name}, seed {seed}: labelsweep {ours:.3f}, {peer} {theirs:.3f}\n")
    means = pd.DataFrame(found).groupby(["", "the peer"], sort=False, as_index=False).mean()
    rows = [[name, peer, *(f"{value:.3f}" for value in line)] for _, name, peer, *line in means.itertuples()]
    return table_of(list(means.columns), rows, title="Through the command", words=2)


def exchange_labels(labels: Ints, kind: str, rate: float, seed: int) -> Ints:
    """Return labels with a share of them exchanged.

    >>> bool((exchange_labels(np.array([0, 1, 2] * 100), "next class", 0.2, 0) != np.array([0, 1, 2] * 100)).any())
    True
    """
    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    step = generator.integers(1, classes, len(labels)) if kind == "uniform" else 1
    return np.asarray(np.where(generator.random(len(labels)) < rate, (labels + step) % classes, labels))


def _measure(data: RawSet, given: Ints, seed: int, methods: Mapping[str, Score]) -> dict[str, float]:
    found = {}
    for name, method in methods.items():
        score, spent = time_call(partial(method, data, given, seed))
        found[name] = average_precision(given != data.labels, score)
        sys.stderr.write(f"{data.name}, seed {seed}: {name} {found[name]:.3f} ({spent.wall:.1f} s)\n")
    return found


def _audit(data: RawSet, given: Ints, seed: int, shape: tuple[int, ...] | None = None) -> Audit:
    """Audit encoded rows; a shape says that they are images."""
    features = data.features()
    shared = features.shape[1] if isinstance(data.rows, list) else 0
    options = AuditOptions(seed=seed, device="cpu")
    return audit(features, given, options, shared=shared, feature_shape=shape)


def _with_encoder(packaged: Packaged, cache: Path, data: RawSet, given: Ints, seed: int) -> Floats:
    """Score texts by an audit that sees their embeddings beside their directions."""
    features, model = data.features(), Paced(packaged, "cpu", len(given), math.inf)
    embedding = embed_contents(
        cache / f"{packaged.name}.sqlite",
        [text.encode() for text in data.rows],
        lambda places: model([data.rows[place] for place in places]),
    )
    audited = audit(
        np.hstack([features, embedding]),
        given,
        AuditOptions(seed=seed, device="cpu"),
        shared=features.shape[1],
        embedded=embedding.shape[1],
    )
    return audited.score


def _queue(data: RawSet, given: Ints, seed: int) -> dict[str, float]:
    """Return what is said of our own queue, from one audit."""
    audited, wrong = _audit(data, given, seed), given != data.labels
    return {
        "labelsweep": average_precision(wrong, audited.score),
        "labelsweep, influence alone": average_precision(wrong, audited.influence),
        "F1 of the flagged": f1(wrong, audited.flagged),
        "best F1 of any cut": best_f1(wrong, audited.score),
    }


def _means(title: str, rows: Iterable[tuple[str, dict[str, float]]]) -> str:
    """Return the means of the rows of each name, and the means of its columns below."""
    names, found = zip(*rows, strict=True)
    means = pd.DataFrame(found, index=names).groupby(level=0, sort=False).mean()
    means.loc["**mean**"] = means.mean()
    shown = [[name, *(f"{value:.3f}" for value in line)] for name, *line in means.itertuples()]
    return table_of(["", *means.columns], shown, title=title)
