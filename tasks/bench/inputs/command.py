"""`labelsweep bench inputs`: mixed tables and texts from the raw file to the queue, beside what a user would build by hand.

Questions, all on the same folds and the same wrong labels:

- tables: the audit beside cleanlab on out-of-fold probabilities of `HistGradientBoostingClassifier`, which takes gaps and
  categories as they are; a share of the labels is exchanged, uniformly or for the next class;
- texts: the label of one rater against the majority of all raters, real errors of people, beside cleanlab on TF-IDF and
  logistic regression fitted again in every fold;
- images: the audit that sees pixels and edges beside the one that sees pixels alone, and cleanlab on a logistic regression of
  the pixels;
- command: embeddings, predicted probabilities, an own model and a Hugging Face data set, swept by the command itself
  (`tasks.bench.inputs.through_command`);
- raters: several raters of each text, the command beside cleanlab's scores for several annotators (`tasks.bench.inputs.raters`);
- does it matter that our encoders see all rows at once: the same logistic regression on an encoder fitted on everything,
  and on one fitted on the training rows of each fold.

Average precision (AP) of finding the wrong labels, means over seeds; for tables and texts also how good what is flagged is (F1),
beside the best F1 that any number of samples from the front of the same queue would have.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer

from tasks.attribute import Audit, AuditOptions, audit
from tasks.bench.command import CACHE, Cache, Page, count_of
from tasks.bench.datasets import Floats, Ints
from tasks.bench.inputs import peers
from tasks.bench.inputs.raters import judge_raters
from tasks.bench.inputs.raw_sets import RawSet, plant_each, read_images, read_tables, read_texts
from tasks.bench.inputs.through_command import judge_inputs
from tasks.bench.quality.metrics import average_precision, best_f1, f1
from tasks.bench.tables import format_frame, publish_tables
from tasks.encode.cache import embed_contents
from tasks.encode.packaged import PACKAGED, Paced, Packaged

Score = Callable[[RawSet, Ints, int], Floats]
# The name of a row, and its figures.
Found = Iterator[tuple[str, dict[str, float]]]
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
    parts = {
        "tables": ("Mixed tables", _judge_tables(drawn, rows)),
        "images": ("Images", _judge_images(drawn)),
        "texts": ("Texts, one rater", _judge_texts(drawn, cache)),
        "command": ("Through the command", judge_inputs(drawn)),
        "raters": ("Three raters of each text", judge_raters(drawn, cache.absolute())),
    }
    publish_tables(
        "\n".join(_average(*part) for name, part in parts.items() if only in (None, name)), markdown
    )


def _judge_tables(seeds: Sequence[int], most: int) -> Found:
    methods = {"cleanlab, HistGradientBoosting": peers.boosting} | ENCODERS
    for data in read_tables(most):
        for planted, seed, given in plant_each(data.labels, seeds):
            found = _judge_queue(data, given, seed) | _measure(data, given, seed, methods)
            yield f"{data.name} ({len(given):,}), {planted}", found


def _judge_images(seeds: Sequence[int]) -> Found:
    for data, shape in read_images():
        methods: dict[str, Score] = {
            "labelsweep": partial(_score_images, shape),
            "labelsweep, pixels alone": partial(_score_images, None),
            "cleanlab, pixels + LR": peers.encoder_once,
        }
        for planted, seed, given in plant_each(data.labels, seeds):
            yield f"{data.name} ({len(given):,}), {planted}", _measure(data, given, seed, methods)


def _score_images(shape: tuple[int, ...] | None, data: RawSet, given: Ints, seed: int) -> Floats:
    return _audit(data, given, seed, shape).score


def _judge_texts(seeds: Sequence[int], cache: Path) -> Found:
    packaged = PACKAGED["text"]
    methods: dict[str, Score] = {
        f"labelsweep, with {packaged.name}": partial(_score_with_encoder, packaged, cache),
        "cleanlab, TF-IDF + LR": peers.tf_idf,
        **ENCODERS,
    }
    for seed in seeds:
        for data in read_texts(cache, seed):
            given = data.labels if data.given is None else data.given
            found = _judge_queue(data, given, seed) | _measure(data, given, seed, methods)
            yield f"{data.name} ({len(given):,})", found


def _measure(data: RawSet, given: Ints, seed: int, methods: Mapping[str, Score]) -> dict[str, float]:
    return {
        name: average_precision(given != data.labels, method(data, given, seed))
        for name, method in methods.items()
    }


def _audit(data: RawSet, given: Ints, seed: int, shape: tuple[int, ...] | None = None) -> Audit:
    """Audit encoded rows; a shape says that they are images."""
    features = data.features()
    shared = features.shape[1] if isinstance(data.rows, list) else 0
    options = AuditOptions(seed=seed, device="cpu")
    return audit(features, given, options, shared=shared, feature_shape=shape)


def _score_with_encoder(packaged: Packaged, cache: Path, data: RawSet, given: Ints, seed: int) -> Floats:
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


def _judge_queue(data: RawSet, given: Ints, seed: int) -> dict[str, float]:
    """Return the measures of our own queue, from one audit."""
    audited, wrong = _audit(data, given, seed), given != data.labels
    return {
        "labelsweep": average_precision(wrong, audited.score),
        "labelsweep, influence alone": average_precision(wrong, audited.influence),
        "F1 of the flagged": f1(wrong, audited.flagged),
        "best F1 of any cut": best_f1(wrong, audited.score),
    }


def _average(title: str, found: Found) -> str:
    """Return the means of the figures of each name, and the means of the columns below; say each row as it is measured."""
    rows = []
    for name, figures in found:
        rows.append({"": name, **figures})
        said = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        sys.stderr.write(f"{name}: {said}\n")
    means = pd.DataFrame(rows).groupby("", sort=False).mean()
    means.loc["**mean**"] = means.mean()
    return format_frame(means, title=title)
