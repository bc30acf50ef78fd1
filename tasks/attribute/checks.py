"""What an audit in memory is given, checked: numbers of any type and layout are taken, the rest is refused."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.heads.device import pick_device, pick_dtype
from tasks.heads.features import MemoryFeatures
from tasks.heads.sample_order import order_by_content
from tasks.heads.samples import Samples, overrule_votes
from tasks.ingest.columns.centres import subtract_centres
from tasks.ingest.groups import number_values
from tasks.options import AuditOptions

_WIDEST = 8  # bytes of a number that torch has


def check_samples(
    features: Array,
    labels: Array,
    options: AuditOptions,
    *,
    trusted: Array | None,
    votes: Array | None,
    groups: Array | None,
    feature_shape: tuple[int, ...] | None,
    shared: int = 0,
    embedded: int = 0,
) -> Samples:
    """Return the samples of an audit in memory; refuse what cannot be audited. The arguments are those of `audit`."""
    labels = _check_labels(np.asarray(labels), options)
    features = _check_features(np.asarray(features), labels)
    shape = feature_shape or (features.shape[1:] if features.ndim > 2 else None)
    features = features.reshape(len(features), -1)
    _check_parts(features.shape[1], feature_shape, shared, embedded)
    n_classes = int(labels.max()) + 1
    told = [
        _check_trusted(trusted, labels),
        _check_votes(votes, labels, n_classes),
        None if groups is None else np.asarray(groups),
    ]
    numbers = _check_groups(groups, labels)
    device, features = pick_device(options.device), subtract_centres(features)
    x = torch.as_tensor(np.ascontiguousarray(features)).to(device, pick_dtype(features.size, device))
    order = order_by_content(x.cpu().numpy(), labels, [one for one in told if one is not None])
    y = torch.as_tensor(labels, device=device)
    said = None if told[1] is None else torch.as_tensor(told[1], device=device)
    return Samples(MemoryFeatures(x), y, told[0], n_classes, order, said, numbers, shared, shape, embedded)


def _check_labels(labels: Array, options: AuditOptions) -> Array:
    """Return the labels as int64; refuse what are no classes, or too few samples of one."""
    if labels.ndim != 1 or not len(labels):
        raise InputError(f"labels of shape {labels.shape}", fix="pass (n,) labels, n > 0")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise InputError("labels are not classes", fix="pass integers in [0, C)")
    labels = labels.astype(np.int64)
    counts = np.bincount(labels)
    if (counts > 0).sum() < 2:
        raise InputError("only one class", fix="an audit needs at least two")
    small = np.flatnonzero((counts > 0) & (counts < options.folds))
    if options.evaluation == "crossfit" and len(small):
        raise InputError(
            f"class {small[0]} has {counts[small[0]]} samples, fewer than {options.folds} folds",
            fix="use fewer folds",
        )
    return labels


def _check_features(features: Array, labels: Array) -> Array:
    """Return the features in a type that torch has; refuse what cannot be audited."""
    if features.ndim < 2 or len(features) != len(labels) or not features.size:
        raise InputError(
            f"features of shape {features.shape} and {len(labels)} labels",
            fix="pass (n, d) features, (n,) labels",
        )
    if features.dtype.kind not in "biuf" or not features.dtype.isnative or features.dtype.itemsize > _WIDEST:
        try:
            features = features.astype(
                np.float64, casting="unsafe" if features.dtype == object else "same_kind"
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"features are {features.dtype}, not numbers", fix="pass numbers") from error
    # Beyond what single precision holds: trees, and the audit of many samples, read them in it.
    beyond = ~(np.abs(features.reshape(len(features), -1)) <= np.finfo(np.float32).max)
    if beyond.any():
        row = int(np.flatnonzero(beyond.any(axis=1))[0])
        raise InputError(
            "features are not finite, or beyond 3.4e38", where=f"row {row}", fix="drop or fill these samples"
        )
    return features


def _check_parts(width: int, feature_shape: tuple[int, ...] | None, shared: int, embedded: int) -> None:
    """Refuse parts of the features that do not make up their number."""
    if min(shared, embedded) < 0 or shared + embedded > width:
        raise InputError(
            f"{shared} shared and {embedded} embedded of {width} features",
            fix="pass how many of the last ones",
        )
    if feature_shape and math.prod(feature_shape) != width - embedded:
        raise InputError(f"a feature shape of {feature_shape} for {width - embedded} features")


def check_texts(texts: Sequence[str] | None, n: int) -> list[str] | None:
    """Return the texts, None where there are none or nothing is in them."""
    contents = [] if texts is None else list(texts)
    if texts is not None and (len(contents) != n or not all(isinstance(text, str) for text in contents)):
        raise InputError(f"{len(contents)} texts for {n} labels", fix="pass one string for each label")
    return contents if any(text.strip() for text in contents) else None


def _check_trusted(trusted: Array | None, labels: Array) -> Array | None:
    """Return which samples are verified, (n,) bool."""
    if trusted is not None and (np.shape(trusted) != labels.shape or np.asarray(trusted).dtype != bool):
        raise InputError(
            f"trusted is {np.asarray(trusted).dtype} of shape {np.shape(trusted)} for {len(labels)} labels",
            fix="pass one bool for each label",
        )
    return None if trusted is None else np.asarray(trusted)


def _check_groups(groups: Array | None, labels: Array) -> Array | None:
    """Return a number for each sample's group, (n,); a missing one is alone."""
    if groups is None:
        return None
    if np.shape(groups) != labels.shape:
        raise InputError(
            f"groups of shape {np.shape(groups)} for {len(labels)} labels",
            fix="pass one group for each label",
        )
    return number_values(np.asarray(groups))


def _check_votes(votes: Array | None, labels: Array, n_classes: int) -> Array | None:
    """Return the raters' answers as int32, None where there are none; refuse what is none."""
    if votes is None:
        return None
    votes = np.asarray(votes)
    if votes.ndim != 2 or len(votes) != len(labels) or not votes.size:
        raise InputError(
            f"votes of shape {votes.shape} for {len(labels)} labels", fix="pass (n, raters) integers"
        )
    if not np.issubdtype(votes.dtype, np.integer) or votes.min() < -1 or votes.max() >= n_classes:
        raise InputError("votes are not classes", fix="pass integers in [0, C), -1 for no answer")
    votes = votes.astype(np.int32)
    overrule_votes(votes, labels)
    return votes
