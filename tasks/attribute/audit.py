"""The whole audit of a labeled data set, in memory, without Prefect or files.

from tasks.attribute import audit
result = audit(features, labels)
worst_first = result.score.argsort()
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.arrays import Array
from tasks.attribute.checks import check_samples, check_texts
from tasks.attribute.combine import SampleScores, judge_samples
from tasks.attribute.doubts import Doubts, sum_doubts
from tasks.attribute.rounds import Rounds, audit_in_memory
from tasks.errors import InputError
from tasks.heads.ensemble import Opinion
from tasks.heads.members import Member
from tasks.heads.newton import Fit
from tasks.heads.solve import Solution
from tasks.models import make_model
from tasks.options import AuditOptions


@dataclass(frozen=True)
class Audit:
    """What an audit says of every sample; all arrays are (n,) unless said otherwise.

    Attributes:
        score: Orders the queue, lower = more likely mislabeled.
        flagged: Likely mislabeled.
        scores: The columns behind the score, of the last round.
        noise_matrix: (C, C) estimated probability of each given label (column) under each true one (row); of each vote, if any.
        members: The ensemble that was chosen, starting where the last fit ended; with networks, for each fold the features of its
            network.
        fits: For each round the fit of each member; with networks, of their heads.
        solutions: For each round the solve of each member.
        opinions: What models of other kinds say, out of fold.
        doubts: What errors depend on, and how many there are by each way to tell it.
    """

    score: Array
    flagged: Array
    scores: SampleScores
    noise_matrix: Array
    members: list[Member]
    fits: list[list[Fit]]
    solutions: list[list[Solution]]
    opinions: list[Opinion]
    doubts: Doubts

    @property
    def influence(self) -> Array:
        """Relative influence of each given label; positive = helpful."""
        return self.scores.influence

    @property
    def suggested(self) -> Array:
        """Suggested class of each sample; the given one where nothing speaks against it."""
        return self.scores.suggested

    @property
    def relabel_gain(self) -> Array:
        """Influence gained by taking the suggested label instead of the given one, in nats per unit of weight."""
        return self.scores.relabel_gain

    @property
    def probabilities(self) -> Array:
        """(n, C) out-of-fold probabilities."""
        if self.scores.probabilities is None:
            raise InputError("probabilities were not kept")
        return self.scores.probabilities

    @property
    def converged(self) -> bool:
        """Whether every fit and every solve reached its tolerance."""
        return all(f.converged for r in self.fits for f in r) and all(
            s.converged for r in self.solutions for s in r
        )


def audit(
    features: Array,
    labels: Array,
    options: AuditOptions | None = None,
    *,
    trusted: Array | None = None,
    votes: Array | None = None,
    groups: Array | None = None,
    feature_shape: tuple[int, ...] | None = None,
    shared: int = 0,
    embedded: int = 0,
    texts: Sequence[str] | None = None,
) -> Audit:
    """Audit the labels of a data set.

    Args:
        features: (n, d) numbers, finite; images may come as (n, height, width) or (n, height, width, channels).
        labels: (n,) integers in [0, C).
        options: Options of the audit; defaults if None.
        trusted: (n,) bool, samples whose label was verified; needed by `evaluation="trusted"`.
        votes: (n, raters) answers, integers in [0, C), -1 where there is none; the labels are their majority, or corrections.
        groups: (n,) of any type, what each sample belongs to (a patient, a video): samples of one group are in one fold.
        feature_shape: Shape of one image where `features` are flat: linear models then see its edges too, networks its plane.
        shared: How many of the last features, embeddings apart, have one unit, as the directions of texts do: linear models
            scale them alike.
        embedded: How many of the last features are an embedding beside the others; linear models see each of the two by itself.
        texts: The texts that the features encode, for models of other kinds, which read these.

    Returns:
        Scores of all samples.

    Raises:
        InputError: Features that are not finite, labels that are not classes, too few samples of a class for
            the folds, fewer groups than folds.

    >>> from sklearn.datasets import load_wine
    >>> features, labels = load_wine(return_X_y=True)
    >>> labels = labels.copy()
    >>> labels[0] = 2  # plant an error
    >>> bool(audit(features, labels).flagged[0])
    True
    """
    options = options or AuditOptions()
    samples = check_samples(
        features,
        labels,
        options,
        trusted=trusted,
        votes=votes,
        groups=groups,
        feature_shape=feature_shape,
        shared=shared,
        embedded=embedded,
    )
    model = make_model(samples, samples.design(options), options)
    members = model.choose()
    contents = check_texts(texts, len(samples.order))
    opinions, _ = model.ask(None if contents is None else lambda: contents)
    model.samples = samples.beside([one.log_p for one in opinions])
    return _make_audit(audit_in_memory(model, members), opinions, options.score, model.samples.verified)


def _make_audit(rounds: Rounds, opinions: list[Opinion], kind: str, verified: Array | None) -> Audit:
    score, flagged = judge_samples(rounds.scores, kind, verified)
    doubts = sum_doubts(rounds.noise, rounds.scores.wrong, flagged, verified)
    matrix = rounds.noise.matrix.cpu().numpy()
    scored = (rounds.scores, matrix, rounds.members, rounds.fits, rounds.solutions)
    return Audit(score, flagged, *scored, opinions, doubts)
