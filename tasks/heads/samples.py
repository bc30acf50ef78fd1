"""What a fit reads of a run: features from the feature file, classes and verified samples from the canonical data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.heads.design import Design, choose_kept, make_design
from tasks.heads.device import pick_device, pick_dtype
from tasks.heads.features import Features, FileFeatures
from tasks.heads.sample_order import order_by_id
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.labels.spelling import find_spellings
from tasks.options import AuditOptions
from tasks.records import Dataset, FeatureFile
from tasks.storage import read_batches, read_parquet


@dataclass(frozen=True)
class Samples:
    """The samples of a data set.

    Attributes:
        features: Raw features, block by block on the device of the run.
        labels: (n,) long on the device of the run, index into the data set's classes.
        trusted: (n,) bool on the CPU, or None where no label was verified.
        n_classes: C.
        order: (n,) int32, the samples in an order that does not depend on where they are.
        votes: (n, raters) on the device of the run, the answer of each rater, -1 where there is none; None without raters.
        groups: (n,) int32, samples of one number belong together; None where each is alone.
        shared: How many of the last features, embeddings apart, are directions of texts, which have one unit.
        embedded: How many of the last features are beside the others: an embedding, or columns beside an image.
        second: What these are.
        shape: Shape of one sample, of an image where the features are its pixels; None where they are plain features.
        opinions: (m, n, C) logarithms of out-of-fold probabilities of models of other kinds; None without.
    """

    features: Features
    labels: Tensor
    trusted: Array | None
    n_classes: int
    order: Array
    votes: Tensor | None = None
    groups: Array | None = None
    shared: int = 0
    shape: tuple[int, ...] | None = None
    embedded: int = 0
    opinions: Tensor | None = None
    second: str = "embedding"

    @property
    def image(self) -> tuple[int, ...]:
        """Shape of an image where the features are its pixels, else empty."""
        return self.shape if self.shape is not None and len(self.shape) in (2, 3) else ()

    @property
    def is_image_alone(self) -> bool:
        """Whether the features are the pixels of an image and nothing else."""
        return bool(self.image) and not self.embedded

    @property
    def verified(self) -> Array | None:
        """(n,) bool, whose label a person has verified, so that it is never flagged; None where nobody has.

        Raters who agree are believed when models are judged, and may still all be wrong.
        """
        return self.trusted if self.votes is None else None

    def beside(self, opinions: Sequence[Tensor]) -> "Samples":
        """Return the samples with opinions, (n, C) each."""
        return replace(
            self, opinions=torch.stack(list(opinions)).to(self.features.like) if opinions else None
        )

    def design(self, options: AuditOptions) -> Design:
        """Return who is fitted, evaluated and scored on what."""
        labels = self.labels.cpu().numpy()
        design = make_design(
            labels, options.evaluation, options.folds, options.seed, self.trusted, self.order, self.groups
        )
        return design.to(self.labels.device)


def read_samples(dataset: Dataset, features: FeatureFile, device: str) -> Samples:
    """Read the labels of a validated data set, and open its feature file.

    Args:
        device: `auto`, `cpu` or `cuda`.
    """
    where = pick_device(device)
    labels, trusted = read_labels(dataset)
    votes = read_votes(dataset, labels)
    like = torch.empty(0, dtype=pick_dtype(features.rows * features.width, where), device=where)
    return Samples(
        FileFeatures(features, like),
        torch.from_numpy(labels).to(where),
        trusted,
        len(dataset.classes),
        read_order(dataset),
        None if votes is None else torch.from_numpy(votes).to(where),
        None if features.groups is None else np.load(features.groups.path),
        features.shared,
        find_image_shape(dataset, features.plain),
        features.embedded,
        second=features.second,
    )


def read_kept(samples: Samples, left_out: Path | None) -> Tensor:
    """Return (n,) bool: what the scores of the round before (`left_out`; None: there is none) leave to fit on."""
    keep = torch.ones(samples.features.n, dtype=torch.bool)
    if left_out is not None:
        keep = torch.from_numpy(
            choose_kept(read_parquet(left_out, columns=["flagged"])["flagged"].to_numpy())
        )
    return keep.to(samples.labels.device)


def find_image_shape(dataset: Dataset, width: int) -> tuple[int, ...] | None:
    """Return the shape of an image where its pixels are the features, `width` of them; None where these are something else."""
    pixels = dataset.payload == "image" and math.prod(dataset.feature_shape) == width
    return dataset.feature_shape if pixels else None


def read_order(dataset: Dataset) -> Array:
    """Return the samples of a data set in an order that does not depend on where they are, (n,) int32."""
    return order_by_id(batch.column(0) for _, batch in read_batches(dataset.path, ["sample_id"]))


def read_labels(dataset: Dataset) -> tuple[Array, Array | None]:
    """Return the class of each sample, (n,) int64, and which are verified, (n,) bool or None where nobody said.

    A label that is a typo of a class counts as that class.
    """
    labels = np.empty(dataset.rows, dtype=np.int64)
    trusted = np.zeros(dataset.rows, dtype=bool) if dataset.trusted else None
    names = pa.array([*dataset.classes, *dataset.typos], pa.string())
    meant = np.array([*range(len(dataset.classes)), *map(dataset.classes.index, dataset.typos.values())])
    for rows, batch in read_batches(dataset.path, ["label", *(["trusted"] if dataset.trusted else [])]):
        places = pc.index_in(batch.column("label"), value_set=names).to_numpy(zero_copy_only=False)
        labels[rows] = meant[places]
        if trusted is not None:
            verified = pc.fill_null(batch.column("trusted"), fill_value=False)
            trusted[rows] = verified.to_numpy(zero_copy_only=False)
    return labels, trusted


def read_votes(dataset: Dataset, labels: Array) -> Array | None:
    """Return the answer of each rater, (n, raters), -1 where there is none or one that is not a class; None without raters.

    Where the label is not what most raters say, somebody has corrected it: a decision overrules votes, and all who answered
    count as having said the same.

    Args:
        labels: (n,) classes.
    """
    if not dataset.raters:
        return None
    small = len(dataset.classes) <= np.iinfo(np.int16).max
    votes = np.full((dataset.rows, len(dataset.raters)), -1, np.int16 if small else np.int32)
    classes = pa.array(dataset.classes, pa.string())
    for rows, batch in read_batches(dataset.path, dataset.raters):
        for rater, name in enumerate(dataset.raters):
            votes[rows, rater] = _find_places(convert_to_text(batch.column(name)), classes)
        overrule_votes(votes[rows], labels[rows])
    return votes


def _find_places(answers: pa.Array, classes: pa.Array) -> Array:
    """Return the class of each answer, -1 where it is none.

    A whole number may be written with a point, as pandas does, and a name in another spelling of the class.
    """
    whole = pc.replace_substring_regex(answers, r"^\s*([+-]?\d+)(\.0*)?\s*$", r"\1")
    other = find_spellings(dict.fromkeys(pc.unique(whole.drop_null()).to_pylist(), 1), classes.to_pylist())
    if other:
        place = pc.index_in(whole, value_set=pa.array(list(other)))
        whole = pc.coalesce(pa.array(list(other.values())).take(place), whole)
    places = pc.coalesce(pc.index_in(answers, value_set=classes), pc.index_in(whole, value_set=classes))
    found: Array = pc.fill_null(places, -1).to_numpy(zero_copy_only=False)
    return found


def overrule_votes(votes: Array, labels: Array) -> None:
    """Let all who answered say the label, (b,), wherever another answer has more votes, (b, raters), in place."""
    said = votes >= 0
    alike = np.stack([(votes == rater[:, None]).sum(1) for rater in votes.T], axis=1)
    corrected = (votes == labels[:, None]).sum(1) < np.where(said, alike, 0).max(1)
    votes[corrected] = np.where(said[corrected], labels[corrected, None], -1)
