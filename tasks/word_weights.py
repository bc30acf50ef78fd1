"""Words and pairs of words, and what a run learned that each says of every class.

The model of words (`tasks/opinions/words.py`) is a softmax regression on TF-IDF, fitted once for each fold. With w_kc(t) the
weight of a term t for class c in fold k,

    w_c(t)        = the w_kc(t) that is nearest to 0; 0 where folds differ in its sign
    log-odds(t)   = tfidf(t) (w_suggested(t) - w_given(t))     above 0 it speaks for the suggested class, below for the given one

A term that one text alone has weighs 0 in the fold that did not see this text, and so in all: no word speaks for a label because
the text that it is in has that label.

Review pages read this: nothing here imports torch or scikit-learn.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.storage import read_json, read_parquet, write_table

# Chinese and Japanese are written without blanks: there each character is a word, and a pair of them most often what a reader
# calls one (bigrams of characters, as search engines index these languages).
_CHARACTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Vowels and tones of Hindi, Thai and others are marks on a letter, which regular expressions do not take for part of a word.
_MARKS = "".join(chr(c) for c in range(0x300, 0x10000) if category(chr(c)) in ("Mn", "Mc"))
# Words, and what is written between them: an emoticon or three exclamation marks say as much as a word.
WORDS = rf"(?u)[{_CHARACTERS}]|[^\W{_CHARACTERS}](?:[^\W{_CHARACTERS}]|[{_MARKS}])*|[^\w\s]+"
_WORDS = re.compile(WORDS)
# Characters of one text that are read: 20,000 are ten pages, and what a label is about is in them.
READ = 20_000
# Weights that a run keeps, 16 MiB of float32; terms whose strongest weight is least go first.
MOST_WEIGHTS = 2**22

TERMS = Path("model") / "encoding" / "opinions" / "terms.parquet"


class Word(NamedTuple):
    """A word of a text that speaks for one of two classes.

    Attributes:
        start: Its first character's place in the text.
        weight: By how much it moves the log-odds between the two, in nats, above 0; pairs of words count half for each.
    """

    start: int
    end: int
    label: str
    weight: float


@dataclass(frozen=True)
class Terms:
    """What a run learned of the terms of its texts.

    Attributes:
        idf: (V,) inverse document frequency.
        weights: (V, C) log-odds that a term adds to each class.
        classes: C names.
        rarest: Inverse document frequency of a term that one text alone has.
    """

    places: dict[str, int]
    idf: Array
    weights: Array
    classes: tuple[str, ...]
    rarest: float


def find_telling_words(text: str, given: str, suggested: str, terms: Terms) -> list[Word]:
    """Return the words of a text that speak for one of two classes, in the order of the text; none where either is unknown.

    >>> terms = Terms({"good": 0, "not good": 1}, np.ones(2), np.array([[-1.0, 1.0], [4.0, -4.0]]), ("bad", "fine"), 2.0)
    >>> [(word.start, word.end, word.label) for word in find_telling_words("Not good!", "fine", "bad", terms)]
    [(0, 3, 'bad'), (4, 8, 'bad')]
    >>> find_telling_words("Not good!", "fine", "other", terms)
    []
    """
    if given == suggested or not {given, suggested} <= set(terms.classes):
        return []
    found = [(m.start(), m.end(), m.group().lower()) for m in _WORDS.finditer(text[:READ])]
    words = [word for *_, word in found]
    pairs = [" ".join(pair) for pair in pairwise(words)]
    counts = Counter(words + pairs)
    # Sublinear TF-IDF of unit length, as the model sees it; terms that it does not keep are as rare as can be.
    rows = {term: terms.places.get(term) for term in counts}
    frequency = {term: 1 + np.log(count) for term, count in counts.items()}
    length = sum(
        (frequency[term] * (terms.rarest if row is None else terms.idf[row])) ** 2
        for term, row in rows.items()
    )
    ours, theirs = terms.classes.index(given), terms.classes.index(suggested)
    moves = {
        term: (terms.weights[row, theirs] - terms.weights[row, ours])
        * (frequency[term] * terms.idf[row] / counts[term] / length**0.5)
        for term, row in rows.items()
        if row is not None
    }
    total = np.array([moves.get(word, 0.0) for word in words])
    half = np.array([moves.get(pair, 0.0) for pair in pairs]) / 2
    total[:-1] += half
    total[1:] += half
    return [
        Word(start, end, suggested if move > 0 else given, abs(float(move)))
        for (start, end, _), move in zip(found, total, strict=True)
        if move
    ]


def compute_least_weights(folds: Sequence[Array]) -> Array:
    """Return of each weight that of the fold where it is nearest to 0, 0 where folds differ in the sign.

    >>> compute_least_weights([np.array([2.0, 1.0, 3.0]), np.array([1.0, -1.0, 0.0])]).tolist()
    [1.0, 0.0, 0.0]
    """
    least, most = np.minimum.reduce(folds), np.maximum.reduce(folds)
    found: Array = np.maximum(least, 0) + np.minimum(most, 0)
    return found


def write_terms(path: Path, terms: Sequence[str], counts: Array, texts: int, folds: Sequence[Array]) -> None:
    """Write the terms that weigh anything.

    Args:
        terms: V words and pairs of words.
        counts: (V,) how many texts have each.
        folds: (V, C) weights of each fold.
    """
    weights = compute_least_weights(folds)
    strength = np.abs(weights).max(1)
    chosen = np.argsort(-strength, kind="stable")[: MOST_WEIGHTS // weights.shape[1]]
    chosen = np.sort(chosen[strength[chosen] > 0])
    table = pa.table(
        {
            "term": pa.array([terms[place] for place in chosen], pa.string()),
            "idf": _compute_idf(counts[chosen], texts).astype(np.float32),
            "weights": pa.FixedSizeListArray.from_arrays(
                weights[chosen].astype(np.float32).ravel(), weights.shape[1]
            ),
        }
    )
    write_table(table.replace_schema_metadata({"texts": str(texts)}), path)


def _compute_idf(counts: Array, texts: int) -> Array:
    """Return scikit-learn's smooth inverse document frequency."""
    found: Array = np.log((1 + texts) / (1 + counts)) + 1
    return found


def read_terms(run: Path) -> Terms | None:
    """Return what the run in a folder learned of words; None where its model of words was not asked."""
    if not (run / TERMS).is_file():
        return None
    table = read_parquet(run / TERMS)
    classes = tuple(read_json(run / "model" / "labels.json"))
    flat = table["weights"].combine_chunks().flatten().to_numpy()
    return Terms(
        {term: place for place, term in enumerate(table["term"].to_pylist())},
        table["idf"].to_numpy(),
        flat.reshape(-1, len(classes)),
        classes,
        float(_compute_idf(np.array(1), int(table.schema.metadata[b"texts"]))),
    )
