"""Probabilities that models gave already: clipped logs as features, which is what a linear head reads best.

They should be out of fold: a model that has seen a label when it gave its probability defends the label. Several models are read
as their weighted mean. A model weighs exp(-l) with l its log-loss on the given labels, in nats: what predicts worse says less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.arrays import Array
from tasks.errors import InputError, name_first_three
from tasks.ingest import class_columns
from tasks.ingest.columns.types import is_numeric
from tasks.ingest.columns.values import convert_to_floats
from tasks.ingest.content import Content, EncodedBatch
from tasks.ingest.identity import encode_vector_rows, hash_contents
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.table import SourceTable
from tasks.ingest.vectors import LOOK, measure_width, read_vectors

# Below one in a million a probability is rounding; its log would be far from all others.
LEAST = 1e-6

Matrix = NDArray[np.float32]
Scale = Literal["probability", "log", "logit", "share"]

# Probabilities that were rounded to two digits, of a hundred classes, sum to one within this.
SUM = 0.5
TOLERANCE = 1e-3
# Of the rows, as many may hold something else: they are set aside. A quarter of the default tolerance.
_ODD = 0.05
# Of rows most of which are probabilities, the others are mistakes: no other scale fits so many.
_HALF = 0.5
# Probabilities are of other rows where they agree with the labels as chance does (within so many standard errors, of at least
# so many rows) and are surer by so much than they are right: a model that merely knows little is unsure, too.
_CHANCE, _FEW, _TOO_SURE = 3.0, 100, 0.2
# Softmax in float16 sums to one within this.
_EXACT = 0.02


@dataclass(frozen=True)
class GivenModel:
    """The probabilities of one model: a column of vectors, a column for each class, or with two classes the column of one.

    Attributes:
        order: The class of each probability.
    """

    columns: tuple[str, ...]
    width: int
    order: class_columns.ClassOrder
    scale: Scale = "probability"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided without being asked."""
        return self.order.notes + _SCALES.get(self.scale, ())

    def read(self, batch: pa.RecordBatch) -> tuple[Matrix, dict[int, str]]:
        """Return the probabilities of a batch, (rows, classes), and why a row has none: it is all NaN."""
        given, problems = read_numbers(batch, self.columns, self.width)
        values = convert_to_probabilities(given, self.scale)
        outside = (values < -TOLERANCE) | (values > 1 + TOLERANCE)
        wrong = outside.any(axis=1)
        if self.width == 1:
            values = np.concatenate([1 - values, values], axis=1)[:, :: 1 if self.order.positive_last else -1]
        else:
            sums = values.sum(axis=1)
            off = np.abs(sums - 1) > SUM
            rounded = ~off & (np.abs(sums - 1) > TOLERANCE)
            values[rounded] /= sums[rounded, None]
            wrong = wrong | off
        for row in np.flatnonzero(wrong).tolist():
            why = f"sums to {given[row].sum():g}, not to 1"
            if self.scale == "probability" and outside[row].any():
                why = f"holds {given[row][outside[row].argmax()]:g}, which is no probability"
            problems.setdefault(row, f"--pred-probs {name_first_three(self.columns)} {why}")
        values[list(problems)] = np.nan
        return values, problems


def open_probabilities(table: SourceTable, models: Sequence[tuple[str, ...]], labels: LabelSurvey) -> Content:
    """Return how the probabilities of one model are read, or the mean of several.

    Raises:
        InputError: Columns do not fit the classes, hold no probabilities, or models know different classes.
    """
    opened = tuple(_open_model(table, columns, labels) for columns in models)
    first = opened[0]
    for model in opened[1:]:
        if unlike := set(model.order.classes) ^ set(first.order.classes):
            raise InputError(
                f"--pred-probs {name_first_three(model.columns)} and {name_first_three(first.columns)} differ in classes: "
                f"{name_first_three(sorted(unlike))}",
                where=table.uri,
                fix="give every model one probability for each class",
            )
    places = [[model.order.classes.index(name) for name in first.order.classes] for model in opened]
    weight = np.exp(-_log_losses(table, opened, labels)) if len(opened) > 1 else np.ones(1)
    weights = weight / weight.sum()
    classes, columns = first.order.classes, first.columns
    notes = tuple(dict.fromkeys(note for model in opened for note in model.notes))
    name = columns[0]
    if len(opened) > 1:
        pairs = zip(opened, weights, strict=True)
        shares = ", ".join(f"{model.columns[0]} {weight:.0%}" for model, weight in pairs)
        notes += (f"--pred-probs is the mean of {len(opened)} models, weighted by log-loss: {shares}",)
        name = "probability"

    def encode(batch: pa.RecordBatch, _: int) -> EncodedBatch:
        """Return log-probabilities of the mean and hashes of all; a row of which some model says nothing is all NaN."""
        read = [model.read(batch) for model in opened]
        values = [v[:, order] for (v, _), order in zip(read, places, strict=True)]
        mean = np.tensordot(weights.astype(np.float32), np.stack(values), axes=1)
        problems = {row: why for _, found in reversed(read) for row, why in found.items()}
        hashes = hash_contents("probabilities", (), encode_vector_rows(np.concatenate(values, axis=1)))
        return EncodedBatch(clip_logs(mean), hashes, problems=problems)

    own = len(opened) == 1 and len(columns) > 1
    names = columns if own else tuple(f"{name}[{each}]" for each in classes)
    return Content(names, (len(classes),), encode, notes, classes)


def _log_losses(table: SourceTable, models: Sequence[GivenModel], labels: LabelSurvey) -> Array:
    """Return the mean log-loss of each model on the given labels, in nats, over the rows that have both."""
    total, count = np.zeros(len(models)), np.zeros(len(models))
    code = [{name: place for place, name in enumerate(model.order.classes)} for model in models]
    columns = dict.fromkeys([labels.column, *(name for model in models for name in model.columns)])
    for batch in table.scan(list(columns)):
        given = labels.read_text(batch.column(labels.column)).to_pylist()
        for number, model in enumerate(models):
            place = np.array([code[number].get(name or "", -1) for name in given])
            logs = clip_logs(model.read(batch)[0])[np.arange(len(place)), place].astype(np.float64)
            known = (place >= 0) & np.isfinite(logs)
            total[number] -= logs[known].sum()
            count[number] += known.sum()
    losses: Array = total / np.maximum(count, 1)
    return losses


_SCALES: dict[str, tuple[str, ...]] = {
    "log": ("--pred-probs holds logarithms of probabilities, and is read so",),
    "logit": ("--pred-probs holds no probabilities but logits: their softmax is read",),
    "share": ("--pred-probs is divided by the sum of each row",),
}


def _open_model(table: SourceTable, columns: tuple[str, ...], labels: LabelSurvey) -> GivenModel:
    """Return the class of each column of one model, and what makes probabilities of its numbers."""
    numeric = all(is_numeric(table.schema.field(name).type) for name in columns)
    width = len(columns) if numeric else measure_width(table, columns[0], "--pred-probs")
    given = _read_head(table, columns, width, labels)
    if width == 1:
        class_columns.require_two(given)
        scale = scale_of(given.values, columns, table.uri)
        likely = convert_to_probabilities(given.values, scale)
        order = class_columns.order_of_binary(replace(given, values=likely[:, 0]))
        both = np.concatenate([1 - likely, likely], axis=1)[:, :: 1 if order.positive_last else -1]
    else:
        order, scale = class_columns.find_order(given), scale_of(given.values, columns, table.uri)
        both = convert_to_probabilities(given.values, scale)
    _check_are_of_rows(both, order.classes, given)
    return GivenModel(columns, width, order, scale)


def _check_are_of_rows(
    values: Matrix, classes: tuple[str, ...], given: class_columns.GivenProbabilities
) -> None:
    """Refuse probabilities that are sure of themselves and have nothing to do with the labels of their rows.

    With f the shares of the classes among n rows and p the probabilities, labels in any order would be given
    sum_i sum_c f_c p_ic, with the variance sum_i (sum_c f_c p_ic^2 - (sum_c f_c p_ic)^2).

    Args:
        values: (n, classes) probabilities of the first rows.

    Raises:
        InputError: They are of other rows.
    """
    code = {name: place for place, name in enumerate(classes)}
    place = np.array([code.get(name or "", -1) for name in given.texts], np.int64)
    values, place = values[place >= 0].astype(np.float64), place[place >= 0]
    if len(place) < _FEW:
        return
    share = np.bincount(place, minlength=len(classes)) / len(place)
    mean, squares = values @ share, values**2 @ share
    agreed = values[np.arange(len(place)), place].sum() - mean.sum()
    sure, right = values.max(axis=1).mean(), (values.argmax(axis=1) == place).mean()
    by_chance = abs(agreed) <= _CHANCE * np.sqrt(max((squares - mean**2).sum(), 0.0))
    if by_chance and share.max() < 1 and sure - right > _TOO_SURE:
        raise InputError(
            f"--pred-probs {name_first_three(given.columns)} has nothing to do with the labels: it is {sure:.0%} sure of a class "
            f"on average, which is the label of {right:.0%} of the rows, as by chance",
            where=given.uri,
            fix="write the probabilities of these rows, in their order",
        )


def clip_logs(values: Matrix) -> Matrix:
    """Return the logarithms of probabilities, none below that of `LEAST`."""
    logs: Matrix = np.log(np.maximum(values, np.float32(LEAST)))
    return logs


def convert_to_probabilities(given: Matrix, scale: Scale) -> Matrix:
    """Return the numbers on the scale of probabilities; what is one already is copied only.

    >>> convert_to_probabilities(np.array([[0.0, 0.0], [80.0, 20.0]], np.float32), "share")[1].tolist()
    [0.800000011920929, 0.20000000298023224]
    """
    values = given.copy()
    with np.errstate(
        invalid="ignore", divide="ignore", over="ignore"
    ):  # a score of -100 has the probability 0
        if scale == "log":
            values = np.exp(given)
        elif scale == "share":
            values = given / given.sum(axis=1, keepdims=True)
        elif scale == "logit" and given.shape[1] == 1:
            values = np.divide(1, 1 + np.exp(-given))
        elif scale == "logit":
            powers = np.exp(given - given.max(axis=1, keepdims=True))
            values = powers / powers.sum(axis=1, keepdims=True)
    return values


def read_numbers(
    batch: pa.RecordBatch, columns: tuple[str, ...], width: int
) -> tuple[Matrix, dict[int, str]]:
    """Return the numbers of a batch as (rows, width), and why a row has none."""
    first = batch.column(columns[0])
    if not is_numeric(first.type):
        return read_vectors(first, columns[0]).of_width(width, columns[0])
    matrix = np.stack([convert_to_floats(batch.column(name)) for name in columns], axis=1)
    missing = np.isnan(matrix)
    return matrix, {
        row: f"column '{columns[int(missing[row].argmax())]}' has no number"
        for row in np.flatnonzero(missing.any(axis=1)).tolist()
    }


def _read_head(
    table: SourceTable, columns: tuple[str, ...], width: int, labels: LabelSurvey
) -> class_columns.GivenProbabilities:
    """Return the first rows that have numbers, with their labels."""
    matrices: list[Matrix] = []
    texts: list[str | None] = []
    for batch in table.scan([*columns, labels.column], LOOK):
        matrix, _ = read_numbers(batch, columns, width)
        there = np.all(np.isfinite(matrix), axis=1)
        matrices.append(matrix[there])
        names = labels.read_text(batch.column(labels.column)).to_pylist()
        texts += [name for name, known in zip(names, there.tolist(), strict=True) if known]
        if len(texts) >= LOOK:
            break
    return class_columns.GivenProbabilities(table.uri, columns, labels, np.concatenate(matrices), texts)


def scale_of(given: NDArray[np.float32], columns: tuple[str, ...], where: str) -> Scale:
    """Return how the numbers of some rows become probabilities.

    Raises:
        InputError: They are not probabilities, nor anything that probabilities can be made of.

    >>> rows = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)
    >>> [scale_of(values, ("p",), "x.csv") for values in (rows, np.log(rows), 100 * rows, 9 * rows - 3)]
    ['probability', 'log', 'share', 'logit']
    """
    given = given.astype(np.float64)
    wide = given.shape[1] > 1
    inside = np.all((given >= -TOLERANCE) & (given <= 1 + TOLERANCE), axis=1)
    good = inside & (np.abs(given.sum(axis=1) - 1) <= SUM) if wide else inside
    if not len(given) or _are_most(good) or (good.mean() > _HALF and not _are_most(inside)):
        return "probability"
    if _are_most(np.all(given <= TOLERANCE, axis=1)):
        sums = np.exp(given).sum(axis=1)
        if wide and _are_most(np.abs(sums - 1) <= _EXACT):
            return "log"
    if (given < -TOLERANCE).any(axis=1).mean() > _ODD:
        return "logit"
    sums = given.sum(axis=1)
    if wide and not _are_most(inside) and _are_most(np.abs(sums / np.median(sums) - 1) <= _EXACT):
        return "share"
    shown = ", ".join(columns[:3]) + (", …" if len(columns) > 3 else "")
    what = f"sum to {sums.min():.3g} to {sums.max():.3g}, not to 1" if wide else f"reach {given.max():.3g}"
    raise InputError(
        f"--pred-probs {shown} holds no probabilities: its rows {what}",
        where=where,
        fix="divide each row by its sum, or give softmax probabilities" if wide else "scale them to 0 to 1",
    )


def _are_most(rows: NDArray[np.bool_]) -> bool:
    return bool(rows.mean() >= 1 - _ODD)
