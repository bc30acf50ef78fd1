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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import f1_score

from tasks.arrays import Array
from tasks.attribute import Audit, AuditOptions, audit
from tasks.bench.command import CACHE, Cache, count_of
from tasks.bench.datasets import Floats, Ints, LabeledData, load_data, read_images, read_tables
from tasks.bench.fetched import TEXTS, fetch_votes
from tasks.bench.inputs import peers
from tasks.bench.inputs.raters import judge_raters
from tasks.bench.inputs.through_command import KINDS, judge_input
from tasks.bench.quality.metrics import average_precision, best_f1
from tasks.bench.quality.noise import plant_each
from tasks.bench.tables import format_frame
from tasks.bench.tally import Row, run_campaign
from tasks.encode.cache import embed_contents
from tasks.encode.packaged import PACKAGED, Paced
from tasks.encode.text import fit_text

Score = Callable[[LabeledData, Ints, int], Floats]
# What is measured once: its name with the seed, and what gives its rows, with the name of a line of the table as "".
Cases = Iterator[tuple[str, Callable[[], Iterable[Row]]]]
ENCODERS: dict[str, Score] = {
    "cleanlab, our encoder + LR": peers.score_encoder_once,
    "same, encoder per fold": peers.score_encoder_by_fold,
}


def run_inputs(
    *,
    seeds: Annotated[int, count_of("seeds of errors and folds")] = 2,
    rows: Annotated[int, count_of("most rows of a table")] = 2_000,
    cache: Cache = CACHE,
    only: Annotated[
        Literal["tables", "texts", "images", "command", "raters"] | None, typer.Option(help="one part of it")
    ] = None,
) -> None:
    """Mixed tables, images and texts from the raw file, beside what a user would build by hand."""
    drawn = range(seeds)
    parts = {
        "tables": ("Mixed tables", _list_tables(drawn, rows)),
        "images": ("Images", _list_images(drawn)),
        "texts": ("Texts, one rater", _list_texts(drawn, cache)),
        "command": ("Through the command", _list_inputs(drawn)),
        "raters": ("Three raters of each text", _list_raters(drawn, cache.absolute())),
    }
    for name, (title, cases) in parts.items():
        if only in (None, name):
            found = pd.DataFrame(run_campaign(dict(cases), lambda judge, _: judge())).drop(columns="case")
            means = found.groupby("", sort=False).mean()
            means.loc["**mean**"] = means.mean()
            sys.stdout.write(format_frame(means, title=title) + "\n")


def _list_tables(seeds: Sequence[int], most: int) -> Cases:
    methods = {"cleanlab, HistGradientBoosting": peers.score_boosting} | ENCODERS
    for data in read_tables(most):
        yield from _plant(data, seeds, methods, with_queue=True)


def _list_images(seeds: Sequence[int]) -> Cases:
    for data, shape in read_images():
        methods: dict[str, Score] = {
            "labelsweep": lambda *case, shape=shape: _audit(*case, feature_shape=shape).score,
            "labelsweep, pixels alone": lambda *case: _audit(*case).score,
            "cleanlab, pixels + LR": peers.score_encoder_once,
        }
        yield from _plant(data, seeds, methods)


def _plant(
    data: LabeledData, seeds: Sequence[int], methods: Mapping[str, Score], *, with_queue: bool = False
) -> Cases:
    for planted, seed, given in plant_each(data.labels, seeds):
        name = f"{data.name} ({len(given):,}), {planted}"
        yield f"{name}, seed {seed}", partial(_judge, name, data, given, seed, methods, with_queue=with_queue)


def _list_texts(seeds: Sequence[int], cache: Path) -> Cases:
    """Yield the texts, each with the label of one rater drawn at random and the majority of all of them as the truth."""
    methods: dict[str, Score] = {
        f"labelsweep, with {PACKAGED['text'].name}": partial(_score_with_encoder, cache),
        "cleanlab, TF-IDF + LR": peers.score_tf_idf,
        **ENCODERS,
    }
    for seed in seeds:
        for text in TEXTS:
            found, generator = fetch_votes(cache, text), np.random.default_rng(seed)
            given = np.array([votes[generator.integers(len(votes))] for _, votes in found])
            labels = np.array([np.bincount(votes).argmax() for _, votes in found])
            data = LabeledData(text, [said for said, _ in found], labels, given, _learn_text_encoder)
            name = f"{text} ({len(given):,})"
            yield f"{name}, seed {seed}", partial(_judge, name, data, given, seed, methods, with_queue=True)


def _learn_text_encoder(texts: Sequence[str]) -> Callable[[Sequence[str]], Floats]:
    encoder = fit_text(lambda: iter([texts]))
    return lambda part: encoder(part).astype(np.float64)


def _list_inputs(seeds: Sequence[int]) -> Cases:
    for kind, (data, peer) in KINDS.items():
        for planted, seed, given in plant_each(load_data(data).labels, seeds):
            name = f"{kind} ({data}, {len(given):,}), {planted}, beside {peer}"
            yield f"{name}, seed {seed}", partial(judge_input, name, kind, given, seed)


def _list_raters(seeds: Sequence[int], cache: Path) -> Cases:
    for text in TEXTS:
        for seed in seeds:
            yield f"{text}, seed {seed}", partial(judge_raters, text, seed, cache)


def _judge(
    name: str, data: LabeledData, given: Ints, seed: int, methods: Mapping[str, Score], *, with_queue: bool
) -> list[Row]:
    """Return the average precision of each method; with our queue, also the measures of its order and flags."""
    wrong, row = given != data.labels, Row({"": name})
    if with_queue:
        audited = _audit(data, given, seed)
        row |= {
            "labelsweep": average_precision(wrong, audited.score),
            "labelsweep, influence alone": average_precision(wrong, audited.influence),
            "F1 of the flagged": float(f1_score(wrong, audited.flagged)),
            "best F1 of any cut": best_f1(wrong, audited.score),
        }
    found = {method: average_precision(wrong, score(data, given, seed)) for method, score in methods.items()}
    return [row | found]


def _audit(
    data: LabeledData,
    given: Ints,
    seed: int,
    *,
    embedding: Array | None = None,
    feature_shape: tuple[int, ...] | None = None,
) -> Audit:
    """Audit encoded rows, of texts with an embedding beside their directions; a `feature_shape` says that they are images."""
    shared = data.features.shape[1] if isinstance(data.rows, list) else 0
    beside = data.features[:, :0] if embedding is None else embedding
    features, options = np.hstack([data.features, beside]), AuditOptions(seed=seed, device="cpu")
    return audit(
        features, given, options, shared=shared, embedded=beside.shape[1], feature_shape=feature_shape
    )


def _score_with_encoder(cache: Path, data: LabeledData, given: Ints, seed: int) -> Floats:
    """Score texts by an audit that sees their embeddings beside their directions."""
    model = Paced(PACKAGED["text"], "cpu", len(given), math.inf)
    embedding = embed_contents(
        cache / f"{PACKAGED['text'].name}.sqlite",
        [text.encode() for text in data.rows],
        lambda places: model([data.rows[place] for place in places]),
    )
    return _audit(data, given, seed, embedding=embedding).score
