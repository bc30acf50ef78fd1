"""What a user would do by hand: models fitted out of fold, and cleanlab on their probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Floats, Ints
from tasks.bench.inputs.raw_sets import RawSet
from tasks.bench.quality.case import FOLDS

# From the rows to fit on and those held out to the classes and their probabilities.
Predict = Callable[[Ints, Ints], tuple[Ints, Floats]]


def make_regression() -> Pipeline:
    """Return a logistic regression of standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


def make_text_model() -> Pipeline:
    """Return TF-IDF with a logistic regression."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return make_pipeline(vectors, LogisticRegression(C=4, max_iter=500))


def predict_out_of_fold(model: Any, features: Any, given: Ints, seed: int) -> Floats:  # noqa: ANN401 (estimator; a matrix or texts)
    """Return the probabilities (n, C) of a model that is fitted without each fold in turn."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, features, given, cv=folds, method="predict_proba"))


def compute_margin(given: Ints, probabilities: Floats) -> Floats:
    """Return cleanlab's normalized margin, (n,)."""
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415 (belongs to the bench extra)

    return np.asarray(get_label_quality_scores(given, probabilities, method="normalized_margin"))


def boosting(data: RawSet, given: Ints, seed: int) -> Floats:
    """Score by gradient boosting, which takes gaps and categories as they are."""
    texts = [name for name in data.rows if data.rows[name].dtype.kind not in "biuf"]
    frame = data.rows.astype(dict.fromkeys(texts, "category"))

    def predict(fit: Ints, held: Ints) -> tuple[Ints, Floats]:
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        model.fit(frame.iloc[fit], given[fit])
        return model.classes_, model.predict_proba(frame.iloc[held])

    return _margin_by_fold(given, seed, predict)


def encoder_once(data: RawSet, given: Ints, seed: int) -> Floats:
    """Score by a logistic regression on our encoder's features, the encoder fitted to all rows."""
    encode = data.fit(data.rows)
    return _margin_by_fold(given, seed, lambda fit, held: _regress(data, given, encode, fit, held))


def encoder_by_fold(data: RawSet, given: Ints, seed: int) -> Floats:
    """Score by the same where the encoder is fitted again on each fold's training rows."""
    return _margin_by_fold(
        given, seed, lambda fit, held: _regress(data, given, data.fit(data.part(fit)), fit, held)
    )


def tf_idf(data: RawSet, given: Ints, seed: int) -> Floats:
    """Score by TF-IDF and logistic regression, fitted again in every fold."""

    def predict(fit: Ints, held: Ints) -> tuple[Ints, Floats]:
        model = make_text_model().fit(data.part(fit), given[fit])
        return model[-1].classes_, model.predict_proba(data.part(held))

    return _margin_by_fold(given, seed, predict)


def _regress(
    data: RawSet, given: Ints, encode: Callable[[Any], Floats], fit: Ints, held: Ints
) -> tuple[Ints, Floats]:
    model = make_regression().fit(encode(data.part(fit)), given[fit])
    return model[-1].classes_, model.predict_proba(encode(data.part(held)))


def _margin_by_fold(given: Ints, seed: int, predict: Predict) -> Floats:
    """Return cleanlab's normalized margin on out-of-fold probabilities; a class that a fold lacks has next to none."""
    probabilities = np.full((len(given), int(given.max()) + 1), 1e-9)
    for fit, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(given, given):
        classes, found = predict(fit, held)
        probabilities[np.ix_(held, classes)] = np.maximum(found, 1e-9)
    return compute_margin(given, probabilities / probabilities.sum(axis=1, keepdims=True))
