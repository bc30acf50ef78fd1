"""The shadow audit in memory, without Prefect or files.

from tasks.attribute import audit
from tasks.controls.shadow import estimate_quality
quality = estimate_quality(features, labels, audit(features, labels))
"""

from dataclasses import replace

from tasks.arrays import Array
from tasks.attribute.audit import Audit, check_arrays, check_groups_array, check_votes, design_of, with_model
from tasks.attribute.combine import verdict
from tasks.attribute.networks import run_network_rounds
from tasks.attribute.rounds import run_rounds
from tasks.controls.estimate import CONFIDENCE, Quality, quality_of
from tasks.controls.plant import choose_units, shadow_of
from tasks.errors import InputError
from tasks.fit.network.round import make_task
from tasks.heads.features import MemoryFeatures
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
    shape = feature_shape or (features.shape[1:] if features.ndim > 2 else None)
    x, y, n_classes = check_arrays(features, labels, options)
    options = with_model(options, x, shape)
    together = check_groups_array(groups, labels)
    design = design_of(x, labels, options, trusted, together)
    believed = ~found.flagged if trusted is None else ~found.flagged & ~trusted
    chosen, unit = choose_units(design.ordered(believed), labels, together, options.controls, options.seed)
    if not len(chosen):
        raise InputError("no label is left to flip", fix="give more samples, or options with more controls")
    said = check_votes(votes, labels, n_classes, x.device)
    flipped, said = shadow_of(y, said, found.probabilities[chosen], chosen, options.seed, unit)
    raw = MemoryFeatures(x)
    if options.model == "linear":
        starts = [fit.theta for fit in found.fits[-1]]
        rounds = run_rounds(raw, flipped, n_classes, design, found.members, starts, options, votes=said)
    else:
        task = replace(make_task(raw, y, n_classes, shape, options, together), labels=flipped)
        rounds = run_network_rounds(task, design, options, votes=said)[0]
    score, flagged = verdict(rounds.scores, options.score)
    before = int(found.flagged.sum())
    return quality_of(score, flagged, rounds.scores.wrong, chosen, before, confidence, unit)
