"""What a user would do by hand: models fitted out of fold, and cleanlab on their probabilities."""

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Floats, Ints, LabeledData
from tasks.bench.quality.case import predict_out_of_fold
from tasks.bench.quality.peers import cleanlab_rank


class FoldEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Our encoder as a step of a pipeline, which fits it to the training rows of each fold."""

    def __init__(self, learn: Callable[[Any], Callable[[Any], Floats]]) -> None:
        self.learn = learn

    def fit(self, rows: Any, _: object = None) -> "FoldEncoder":  # noqa: ANN401 (a frame or texts)
        """Fit the encoder to some rows."""
        self.encode_ = self.learn(rows)
        return self

    def transform(self, rows: Any) -> Floats:  # noqa: ANN401
        """Encode some rows."""
        return self.encode_(rows)


def make_regression() -> Pipeline:
    """Return a logistic regression of standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


def make_text_model() -> Pipeline:
    """Return TF-IDF with a logistic regression."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return make_pipeline(vectors, LogisticRegression(C=4, max_iter=500))


def score_boosting(data: LabeledData, given: Ints, seed: int) -> Floats:
    """Score by gradient boosting, which takes gaps and categories as they are."""
    texts = [name for name in data.rows if data.rows[name].dtype.kind not in "biuf"]
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return compute_margin(model, data.rows.astype(dict.fromkeys(texts, "category")), given, seed)


def score_encoder_once(data: LabeledData, given: Ints, seed: int) -> Floats:
    """Score by a logistic regression on our encoder's features, the encoder fitted to all rows."""
    return compute_margin(make_regression(), data.features, given, seed)


def score_encoder_by_fold(data: LabeledData, given: Ints, seed: int) -> Floats:
    """Score by the same where the encoder is fitted again on each fold's training rows."""
    return compute_margin(make_pipeline(FoldEncoder(data.learn), make_regression()), data.rows, given, seed)


def score_tf_idf(data: LabeledData, given: Ints, seed: int) -> Floats:
    """Score by TF-IDF and logistic regression, fitted again in every fold."""
    return compute_margin(make_text_model(), data.rows, given, seed)


def compute_margin(model: Any, features: Any, given: Ints, seed: int) -> Floats:  # noqa: ANN401
    """Return cleanlab's normalized margin of a model's out-of-fold probabilities, (n,)."""
    return cleanlab_rank(given, predict_out_of_fold(model, features, given, seed)).score
