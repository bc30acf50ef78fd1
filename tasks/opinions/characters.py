"""Logistic regression on the TF-IDF of two to five characters inside words: spelling, endings, languages without blanks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.opinions.words import VOCABULARY, make, rows_of

__all__ = ["CONTENT", "make", "represent", "rows_of"]

CONTENT = "text"


def represent(contents: list[str]) -> tuple[Any, Sequence[str]]:
    """Return the weights of the pieces."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 (seconds to import)

    how = {"ngram_range": (2, 5), "analyzer": "char_wb", "sublinear_tf": True, "dtype": np.float32}
    try:
        return TfidfVectorizer(min_df=2, max_features=VOCABULARY, **how).fit_transform(contents), ()
    except ValueError:  # no piece is in two texts
        return TfidfVectorizer(max_features=VOCABULARY, **how).fit_transform(contents), ()
