"""The shadow audit in memory, without Prefect or files.

from tasks.attribute import audit
from tasks.controls.shadow import estimate_quality
quality = estimate_quality(features, labels, audit(features, labels))
"""

from dataclasses import dataclass, replace

from tasks.arrays import Array
from tasks.attribute.audit import Audit
from tasks.attribute.checks import check_samples
from tasks.attribute.combine import judge_samples
from tasks.attribute.doubts import Doubts
from tasks.attribute.rounds import audit_in_memory
from tasks.controls.estimate import CONFIDENCE, Quality, compare_with_shadow
from tasks.controls.intervals import widen_quality
from tasks.controls.plant import choose_units, flip_labels
from tasks.errors import InputError
from tasks.heads.design import Design
from tasks.heads.members import Member
from tasks.heads.model import AuditModel
from tasks.heads.samples import Samples
from tasks.models import make_model
from tasks.options import AuditOptions


def estimate_quality(
    features: Array,
    labels: Array,
    found: Audit,
    options: AuditOptions | None = None,
    *,
    trusted: Array | None = None,
    votes: Array | None = None,
    groups: Array | None = None,
    feature_shape: tuple[int, ...] | None = None,
    confidence: float = CONFIDENCE,
) -> Quality:
    """Estimate recall, precision and noise rate of an audit by auditing once more with some labels flipped on purpose.

    Args:
        features: (n, d) numbers, as they were audited.
        labels: (n,) given classes; they stay as they are.
        found: What the audit said.
        options: Options of the audit; defaults if None. `controls` is the share of labels that are flipped.
        trusted: (n,) bool, verified samples, which are not flipped.
        votes: (n, raters) answers, as they were audited.
        groups: (n,) what each sample belongs to, as they were audited.
        feature_shape: Shape of one image where `features` are flat.
        confidence: Of the intervals.

    Raises:
        InputError: No label is left to flip.

    >>> import numpy as np
    >>> from tasks.attribute import audit
    >>> labels = np.arange(400) % 2
    >>> features = 4 * labels[:, None] + np.random.default_rng(0).normal(size=(400, 2))
    >>> estimate_quality(features, labels, audit(features, labels)).noise_rate.estimate < 0.02
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
    )
    samples = samples.beside([one.log_p for one in found.opinions])
    design = samples.design(options)
    planted = choose_planted(samples, design, found.flagged, options)
    if planted is None:
        raise InputError("no label is left to flip", fix="give more samples, or options with more controls")
    model = make_model(samples, design, options)
    believed = found.probabilities[planted.chosen]
    return audit_planted(model, found.members, believed, planted, found.doubts, confidence)


@dataclass(frozen=True)
class PlantedControls:
    """Samples whose labels are flipped on purpose.

    Attributes:
        chosen: (m,) samples.
        unit: (m,) numbers of which equal ones are flipped together; None where each is for itself.
    """

    chosen: Array
    unit: Array | None


def choose_planted(
    samples: Samples, design: Design, flagged: Array, options: AuditOptions
) -> PlantedControls | None:
    """Draw the samples whose labels are flipped, among those that are neither flagged nor verified; None: there are none."""
    believed = ~flagged if samples.trusted is None else ~flagged & ~samples.trusted
    labels = samples.labels.cpu().numpy()
    # At most half of those that nobody has verified: errors are sought among the others.
    most = 0.5 if samples.trusted is None else float((~samples.trusted).sum() // 2 / len(samples.trusted))
    among, share = design.ordered(believed), min(options.controls, most)
    chosen, unit = choose_units(among, labels, samples.groups, share, options.seed)
    return PlantedControls(chosen, unit) if len(chosen) else None


def audit_planted(
    model: AuditModel,
    members: list[Member],
    probabilities: Array,
    planted: PlantedControls,
    doubts: Doubts,
    confidence: float = CONFIDENCE,
    *,
    of_texts: bool = False,
) -> Quality:
    """Audit once more with the planted labels flipped, and return what that says of the real queue.

    Args:
        model: What audited the real labels.
        members: Of its last round.
        probabilities: (m, C) out of fold, of the planted samples: what a label is flipped to.
        planted: Which labels are flipped.
        doubts: Of the real audit.
        confidence: Of the intervals.
        of_texts: Whether the samples are texts.
    """
    samples, options, chosen = model.samples, model.options, planted.chosen
    labels, votes = flip_labels(
        samples.labels, samples.votes, probabilities, chosen, options.seed, planted.unit
    )
    shadow = make_model(replace(samples, labels=labels, votes=votes), model.design, options)
    scores = audit_in_memory(shadow, shadow.begin_again(members), keep_probabilities=False).scores
    score, flagged = judge_samples(scores, options.score, samples.verified)
    quality = compare_with_shadow(
        score,
        flagged,
        scores.wrong[0],
        chosen,
        doubts.flagged,
        confidence,
        planted.unit,
        samples.verified,
    )
    return widen_quality(quality, doubts, confidence, of_texts=of_texts)
