"""Models of other kinds, whose out-of-fold probabilities are beside the heads: one file for each name that `--models` takes.

Heads are convex and carry the influence. What they cannot see, such as a rule on one column or a rare word, models of other kinds
see. Each is fitted once, on the folds of the audit and all given labels, and all rounds and the shadow audit use what it said.
An opinion on a sample never saw its own label, and so it stays what it is where that label is flipped on purpose.

A file holds `CONTENT` ("numbers" or "text"), `rows_of(width, classes)`: the most training samples of a fold, 0 where the kind
would cost too much; `represent(contents)`: a matrix, made once and without labels, and the terms that its columns stand for, none
where they are not terms; and `make(seed, rows)`: a classifier for so many training samples with `fit`, `predict_proba` and
`classes_`, as scikit-learn has them. What a linear one learned of terms is kept beside its opinion (`tasks/word_weights.py`).
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design
from tasks.heads.ensemble import Opinion
from tasks.heads.model import RoundStore
from tasks.heads.samples import Samples
from tasks.heads.store import load_tensors
from tasks.options import AuditOptions
from tasks.runs.parts import load_part, save_part
from tasks.runs.progress import report_progress
from tasks.word_weights import TERMS, write_terms

# By single fits on 50 features and ten classes, five folds of this many samples take 20 s of the processor: trees 9, neighbours
# 10, discriminants 1; boosting of two classes 5. It was not measured whole, nor beyond.
MOST_ROWS = 50_000
# Characters of all texts, and of one of them, that are read: beyond it their terms fill gigabytes.
CHARACTERS, OF_ONE_TEXT = 10_000_000, 20_000
# Samples x classes and samples x features: 32 MiB for each kind, and 128 MiB that are read at once.
MOST_VALUES, MOST_NUMBERS = 2**23, 2**25
# No opinion is surer than this: one sample in a million is what no model here can know.
LEAST = 1e-6
# The kind whose weights show which words of a text speak for a class.
WORDS = "words"

Texts = Callable[[], list[str]]


def explain_absence(samples: Samples, options: AuditOptions, texts: Texts | None = None) -> str:
    """Return why no model of another kind is asked; empty where some are.

    Args:
        texts: Reads the texts; None where the samples are not texts, or nobody has them.
    """
    n, classes = samples.features.n, samples.n_classes
    reasons = {
        "--models names heads alone": not options.list_kinds(),
        # Trees and boosting on directions of texts take as long as the audit, and find nothing more.
        "the features are directions of texts": texts is None and samples.shared == samples.features.width,
        "the raters' answers stand beside the heads": samples.votes is not None,
        "a held-out split has no folds": options.evaluation == "holdout",
        f"there are more than {MOST_ROWS:,} samples": n > MOST_ROWS,
        f"there are {classes:,} classes": classes * n > MOST_VALUES,
        f"there are {samples.features.width:,} features": samples.features.width * n > MOST_NUMBERS,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def ask_kinds(
    samples: Samples,
    design: Design,
    options: AuditOptions,
    texts: Texts | None = None,
    store: RoundStore | None = None,
) -> list[Opinion]:
    """Ask a model of each kind that fits the content, out of fold.

    Args:
        options: `models` names or excludes kinds, `seed` decides what is drawn.
        texts: Reads the texts; None where the samples are not texts.
        store: Where each opinion is kept as soon as it is there; None for memory only.
    """
    contents: dict[str, tuple[int, Callable[[], Any]]] = (
        {} if texts is None else {"text": (0, partial(_cut, texts))}
    )
    beside = 0 < samples.shared < samples.features.width - samples.embedded or samples.second != "embedding"
    if texts is None or beside:  # there is more than texts
        contents["numbers"] = samples.features.width, _read_numbers(samples)
    kinds = {name: find_kind(name) for name in options.list_kinds()}
    kinds = {name: kind for name, kind in kinds.items() if kind.CONTENT in contents}
    rows = {name: kind.rows_of(contents[kind.CONTENT][0], samples.n_classes) for name, kind in kinds.items()}
    chosen = [name for name in kinds if rows[name]]
    # One matrix is held at a time, and kinds that see the same one are asked in turn.
    chosen.sort(key=lambda name: (kinds[name].CONTENT, kinds[name].represent.__module__))
    represent = lru_cache(1)(lambda how, content: how(contents[content][1]()))
    opinions = []
    for number, name in enumerate(chosen):
        terms = None if store is None or name != WORDS else store.folder / TERMS.name
        seen = partial(represent, kinds[name].represent, kinds[name].CONTENT)
        work = partial(
            _predict_out_of_fold, kinds[name], seen, rows[name], samples, design, options.seed, terms
        )
        log_p = (
            work() if store is None else _load_or_make(store.folder / f"{name}.safetensors", store.key, work)
        )
        own = log_p.gather(1, samples.labels.cpu()[:, None])
        opinions.append(Opinion(name, log_p, -float(own.double().mean())))
        report_progress("opinions", number + 1, len(chosen))
    return sorted(opinions, key=lambda one: one.name)


def find_kind(name: str) -> ModuleType:
    """Return the kind of a file in this folder."""
    return import_module(f"{__name__}.{name}")


def read_opinions(folder: Path, names: Sequence[str]) -> list[Tensor]:
    """Return what `ask_kinds` kept, (n, C) each."""
    return [load_tensors(folder / f"{name}.safetensors")[0]["log_p"] for name in names]


def _cut(texts: Texts) -> list[str]:
    """Return the texts, as much of each as all of them leave room for."""
    contents = texts()
    most = min(OF_ONE_TEXT, CHARACTERS // len(contents))
    return [text[:most] for text in contents]


def _read_numbers(samples: Samples) -> Callable[[], Array]:
    return lambda: torch.cat([block for _, block in samples.features.blocks()]).cpu().numpy()


def _load_or_make(path: Path, key: str, work: Callable[[], Tensor]) -> Tensor:
    """Return the opinion that is at `path`, if it was made from the same; otherwise make and keep it."""
    if part := load_part(path, key):
        path.touch()
        return part[0]["log_p"]
    log_p = work()
    save_part(path, key, {"log_p": log_p}, {})
    return log_p


def _predict_out_of_fold(
    kind: ModuleType,
    represent: Callable[[], tuple[Any, Sequence[str]]],
    most: int,
    samples: Samples,
    design: Design,
    seed: int,
    path: Path | None = None,
) -> Tensor:
    """Fit a kind once for each fold, and return what it says of the samples outside, (n, C).

    Training samples come in an order that does not depend on where they are, and so does what is drawn of them. Where `path` is
    given, what linear models learned of terms is written there.
    """
    contents, terms = represent()
    labels = samples.labels.cpu().numpy()
    everything = slice(0, len(labels))
    fitted = design.fitted(everything).expand(-1, design.folds).cpu().numpy()
    own = design.out_of_fold(everything).cpu().numpy()
    p, models = np.full((len(labels), samples.n_classes), LEAST), []
    for fold in range(design.folds):
        index = np.random.default_rng(seed).permutation(design.ordered(fitted[:, fold]))[:most]
        unseen = np.flatnonzero(own == fold)
        if not len(unseen):
            continue
        counts = np.bincount(labels[index], minlength=samples.n_classes)
        if (counts > 0).sum() in (1, len(index)):  # nothing to tell apart, or one sample of each class
            p[unseen] += counts / len(index)
            continue
        model = kind.make(seed, len(index))
        # One thread: sums of many threads end in any order. What scikit-learn warns of is no news to the user.
        with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
            model.fit(contents[index], labels[index])
            p[np.ix_(unseen, model.classes_)] = np.maximum(model.predict_proba(contents[unseen]), LEAST)
        models.append(model)
    if path is not None and models:
        weights = [_read_weights(model, samples.n_classes) for model in models]
        write_terms(path, terms, contents.getnnz(0), len(labels), weights)
    return torch.from_numpy(np.log(p / p.sum(1, keepdims=True)).astype(np.float32))


def _read_weights(model: Any, n_classes: int) -> Array:  # noqa: ANN401 (of scikit-learn)
    """Return what each column of a linear model adds to the log-odds of each class, (V, C)."""
    coefficients = model.coef_ if len(model.coef_) > 1 else np.vstack([-model.coef_, model.coef_]) / 2
    weights = np.zeros((coefficients.shape[1], n_classes), np.float32)
    weights[:, model.classes_] = coefficients.T
    return weights
