"""Probabilities of several models: their weighted mean, read as if one model had given it.

A model weighs exp(-l) with l its log-loss on the given labels, in nats: what predicts worse says less, and none is silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.errors import InputError, name_first_three
from tasks.ingest.class_columns import ClassOrder
from tasks.ingest.content import Content, EncodedBatch
from tasks.ingest.identity import hash_contents, vector_rows
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.probabilities import Probabilities, clip_logs, open_probabilities
from tasks.ingest.table import SourceTable


@dataclass(frozen=True)
class Opinions:
    """The probabilities of several models for the same classes.

    Attributes:
        models: How those of each model are read.
        places: For each model the place of each class of the first one.
        weights: Of each model; their sum is 1.
    """

    models: tuple[Probabilities, ...]
    places: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]

    @property
    def order(self) -> ClassOrder:
        """The class of each probability."""
        return self.models[0].order

    @property
    def names(self) -> tuple[str, ...]:
        """The class of each probability."""
        return tuple(f"probability[{name}]" for name in self.order.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """One number a class."""
        return self.models[0].shape

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided without being asked."""
        said = dict.fromkeys(note for model in self.models for note in model.notes)
        weights = ", ".join(
            f"{model.columns[0]} {weight:.0%}"
            for model, weight in zip(self.models, self.weights, strict=True)
        )
        return (
            *said,
            f"--pred-probs is the mean of {len(self.models)} models, weighted by log-loss: {weights}",
        )

    def encode(self, batch: pa.RecordBatch, first_row: int) -> EncodedBatch:  # noqa: ARG002 (a row that is wrong is told by its place)
        """Return log-probabilities of the mean and hashes of all; a row that some model says nothing of is all NaN."""
        read = [model.read(batch) for model in self.models]
        values = [v[:, list(places)] for (v, _), places in zip(read, self.places, strict=True)]
        mean = np.tensordot(np.array(self.weights, np.float32), np.stack(values), axes=1)
        problems = {row: why for _, found in reversed(read) for row, why in found.items()}
        hashes = hash_contents("probabilities", (), vector_rows(np.concatenate(values, axis=1)))
        return EncodedBatch(clip_logs(mean), hashes, problems=problems)


def open_models(table: SourceTable, models: Sequence[tuple[str, ...]], labels: LabelSurvey) -> Content:
    """Return how the probabilities of one model or of several are read.

    Raises:
        InputError: Columns do not fit the classes, hold no probabilities, or models know different classes.
    """
    opened = tuple(open_probabilities(table, columns, labels) for columns in models)
    if len(opened) == 1:
        return opened[0]
    first = opened[0]
    for model in opened[1:]:
        if unlike := set(model.order.classes) ^ set(first.order.classes):
            raise InputError(
                f"--pred-probs {name_first_three(model.columns)} and {name_first_three(first.columns)} differ in classes: "
                f"{name_first_three(sorted(unlike))}",
                where=table.uri,
                fix="give every model one probability for each class",
            )
    places = tuple(tuple(model.order.classes.index(name) for name in first.order.classes) for model in opened)
    weight = np.exp(-_log_losses(table, opened, labels))
    return Opinions(opened, places, tuple((weight / weight.sum()).tolist()))


def _log_losses(table: SourceTable, models: Sequence[Probabilities], labels: LabelSurvey) -> Array:
    """Return the mean log-loss of each model on the given labels, in nats, over the rows that have both."""
    total, count = np.zeros(len(models)), np.zeros(len(models))
    code = [{name: place for place, name in enumerate(model.order.classes)} for model in models]
    columns = dict.fromkeys([labels.column, *(name for model in models for name in model.columns)])
    for batch in table.scan(list(columns)):
        given = labels.text(batch.column(labels.column)).to_pylist()
        for number, model in enumerate(models):
            place = np.array([code[number].get(name or "", -1) for name in given])
            logs = clip_logs(model.read(batch)[0])[np.arange(len(place)), place].astype(np.float64)
            known = (place >= 0) & np.isfinite(logs)
            total[number] -= logs[known].sum()
            count[number] += known.sum()
    losses: Array = total / np.maximum(count, 1)
    return losses
