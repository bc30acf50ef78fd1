"""Texts as numbers, without a download: TF-IDF of words and of pieces of words, then the strongest directions.

A row is the concatenation of the TF-IDF vectors of its words and pairs of words, and of the pieces of three to five characters
inside its words, which know spelling, endings and languages without spaces. Truncated singular value decomposition (latent
semantic analysis: Deerwester et al., 1990) keeps the directions that hold most of it.

The encoder sees all texts at once and no label: one encoding serves all folds. Encoders fitted anew on the training texts of each
fold found a few wrong labels fewer (`docs/results/inputs.md`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.word_weights import READ, WORDS

Floats = npt.NDArray[np.float32]

COMPONENTS = 200
# Texts from which vocabulary and directions are learned; more change neither.
FITTED_TEXTS = 50_000
VOCABULARY = 50_000


@dataclass(frozen=True)
class TextEncoder:
    """How texts are encoded."""

    vectorizers: tuple[Any, ...]
    directions: Any

    @property
    def names(self) -> tuple[str, ...]:
        """Each direction by the three words or pieces that weigh most in it."""
        terms = np.concatenate([v.get_feature_names_out() for v in self.vectorizers])
        top = np.argsort(-np.abs(self.directions.components_), axis=1, kind="stable")[:, :3]
        return tuple(
            f"direction {number + 1} ({', '.join(terms[place].strip() for place in places)})"
            for number, places in enumerate(top)
        )

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return texts encoded, (b, width)."""
        encoded: Floats = self.directions.transform(_weigh(self.vectorizers, texts)).astype(np.float32)
        return encoded


def fit_text(batches: Callable[[], Iterable[Sequence[str]]], seed: int = 0) -> TextEncoder:
    """Look at the texts once and return how they are encoded.

    Args:
        seed: Seed of the choice of texts, where there are many, and of the decomposition.

    >>> texts = ["a good film", "a bad film", "good food", "bad food", "good good film"] * 4
    >>> encoder = fit_text(lambda: iter([texts]))
    >>> encoder(texts[:2]).shape[0]
    2
    """
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 (seconds to import)

    texts = _draw_texts(batches(), seed)
    vectorizers = tuple(_fit(vectorizer, texts) for vectorizer in _make_vectorizers(len(texts)))
    weighted = _weigh(vectorizers, texts)
    components = max(1, min(COMPONENTS, len(texts) - 1, weighted.shape[1] - 1))
    return TextEncoder(vectorizers, TruncatedSVD(components, random_state=seed).fit(weighted))


def _make_vectorizers(count: int) -> Iterator[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (seconds to import)

    # A term of a single text relates it to no other one; tiny sets have too few texts to ask for two.
    common = {
        "sublinear_tf": True,
        "max_features": VOCABULARY,
        "min_df": 2 if count >= 50 else 1,
        "dtype": np.float32,
    }
    yield TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORDS, **common)
    yield TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **common)


def _fit(vectorizer: Any, texts: Sequence[str]) -> Any:  # noqa: ANN401 (of scikit-learn)
    try:
        return vectorizer.fit(texts)
    except (
        ValueError
    ):  # no term is in two texts, as in short ones that are all different: then they are told by single terms
        return vectorizer.set_params(min_df=1).fit(texts)


def _weigh(vectorizers: tuple[Any, ...], texts: Sequence[str]) -> Any:  # noqa: ANN401 (a sparse matrix)
    from scipy.sparse import hstack  # noqa: PLC0415

    read = [text[:READ] for text in texts]
    return hstack([vectorizer.transform(read) for vectorizer in vectorizers]).tocsr()


def _draw_texts(batches: Iterable[Sequence[str]], seed: int) -> list[str]:
    """Return the texts, or an even random part where there are many (reservoir sampling, Vitter 1985)."""
    generator = np.random.default_rng(seed)
    kept: list[str] = []
    count = 0
    for batch in batches:
        for text in batch:
            count += 1
            if len(kept) < FITTED_TEXTS:
                kept.append(text[:READ])
            elif (place := int(generator.integers(count))) < FITTED_TEXTS:
                kept[place] = text[:READ]
    return kept
