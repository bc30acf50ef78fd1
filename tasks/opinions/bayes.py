"""Complement naive Bayes (Rennie et al., 2003) on words and pairs of words: nothing to converge, good with little text."""

from typing import Any

from tasks.opinions.words import CONTENT, represent, rows_of

__all__ = ["CONTENT", "make", "represent", "rows_of"]


def make(seed: int, rows: int) -> Any:  # noqa: ANN401, ARG001 (of scikit-learn; one signature)
    """Return the classifier."""
    from sklearn.naive_bayes import ComplementNB  # noqa: PLC0415 (a second to import)

    return ComplementNB()
