"""The map of a run: where its samples are, which of them are alike, and samples that are not in the queue.

A sample beyond the queue has a position too, behind those of the queue: how many these are, plus its row in the data set. So a
decision, a filter and an address name it as they name any other, and mean the same after a restart.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError
from tasks.heads.neighbours import find_closest
from tasks.queue.reason import write_reason
from tasks.queue.rows import take_rows
from tasks.review.queue import Item, ReviewQueue, make_item
from tasks.storage import read_parquet

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# As many as one page of the grid shows.
ALIKE: Final = 120
# Neighbours that are shown of a sample beyond the queue, and those whose labels tell its likeliest classes.
_SHOWN, _VOTES, _LIKELY = 5, 30, 6
# Samples beyond the queue that are compared with all others at once: 64 x 200,000 distances are 50 MB.
_AT_ONCE = 64
_COLUMNS = ("sample_id", "given_label", "suggested_label", "given_probability", "suggested_probability")
_FIGURES = ("score", "influence", "relabel_gain")
_NUMBER = r"-?\d{1,3}(?:\.\d{1,9})?"
# A lasso as an address has it: which view, then three corners or more.
LASSO: Final = rf"(?:plane|classes)(?:;{_NUMBER},{_NUMBER}){{3,200}}"


class Atlas:
    """The map of one run; empty where the run has none."""

    def __init__(self, queue: ReviewQueue) -> None:
        self.queue = queue
        self._path = queue.run / "map.parquet"
        self._items: dict[int, Item] = {}
        self._rows: dict[str, int] = {}

    @property
    def exists(self) -> bool:
        """Whether the run has a map."""
        return self._path.exists()

    @cached_property
    def _table(self) -> pa.Table:
        return read_parquet(self._path)

    @cached_property
    def rows(self) -> Ints:
        """(m,) the row of the data set of each sample on the map."""
        return self._table["row"].to_numpy()

    def view(self, name: str) -> Floats:
        """Return where the samples are, (m, 2) from 0 to 1, in the view `plane` or `classes`."""
        prefix = "class_" if name == "classes" else ""
        found = np.column_stack([self._table[f"{prefix}{axis}"].to_numpy() for axis in "xy"])
        low, high = found.min(axis=0), found.max(axis=0)
        # Both axes have one scale, and the middle is the middle.
        return (found - (low + high) / 2) / max(float((high - low).max()), 1e-9) + np.float32(0.5)

    @cached_property
    def directions(self) -> Floats:
        """(m, d) where the samples are, in the directions in which similar ones are found."""
        flat = self._table["directions"].combine_chunks().flatten().to_numpy()
        return flat.reshape(len(self.rows), -1)

    @cached_property
    def _scores(self) -> pa.Table:
        return read_parquet(self.queue.run / "scores.parquet", columns=["sample_id", "given_label"])

    @cached_property
    def positions(self) -> Ints:
        """(m,) the position of each sample on the map: in the queue, or behind it."""
        queued = pa.array([item.sample_id for item in self.queue.items], pa.string())
        places = pc.index_in(self._scores["sample_id"].take(pa.array(self.rows)), value_set=queued)
        return pc.coalesce(places.cast(pa.int64()), pa.array(self.rows + len(queued))).to_numpy()

    @cached_property
    def labels(self) -> Ints:
        """(m,) the given class of each sample on the map, as a place in the classes; a planted one has the label it shows."""
        classes = pa.array(self.queue.classes, pa.string())
        given = self._scores["given_label"].take(pa.array(self.rows))
        found: Ints = pc.index_in(given, value_set=classes).to_numpy().astype(np.int64)
        queued = pa.array([item.given for item in self.queue.items], pa.string())
        shown = pc.index_in(queued, value_set=classes)
        inside = np.flatnonzero(self.positions < len(self.queue.items))
        found[inside] = shown.to_numpy()[self.positions[inside]]
        return found

    def has(self, position: int) -> bool:
        """Whether a position names a sample of the queue or of the data set."""
        return 0 <= position < len(self.queue.items) + (self.queue.dataset.rows if self.exists else 0)

    def items(self, positions: Sequence[int]) -> list[Item]:
        """Return what is at some positions, in their order."""
        size = len(self.queue.items)
        new = sorted({at for at in positions if at >= size and at not in self._items})
        for start in range(0, len(new), _AT_ONCE):
            self._read(np.array(new[start : start + _AT_ONCE]) - size)
        return [self.queue.items[at] if at < size else self._items[at] for at in positions]

    def rows_of(self, sample_ids: Iterable[str]) -> dict[str, int]:
        """Return the row of the data set of some samples beyond the queue, and of their neighbours."""
        return {name: self._rows[name] for name in sample_ids if name in self._rows}

    def find_alike(self, position: int) -> list[int]:
        """Return the positions of the samples most like one, itself first; [] where it is not on the map."""
        place = np.flatnonzero(self.positions == position) if self.exists else ()
        return list(map(int, self.positions[self._find_nearest(place, ALIKE)[0]])) if len(place) else []

    def find_inside(self, lasso: str) -> list[int]:
        """Return the positions of the samples within a lasso, those of the queue first.

        Args:
            lasso: The view and the corners, as `LASSO` has it.

        Raises:
            InputError: It is not a lasso.
        """
        if not re.fullmatch(LASSO, lasso):
            raise InputError("not a lasso", fix="draw one on the map")
        name, *corners = lasso.split(";")
        if not self.exists:
            return []
        polygon = np.array([corner.split(",") for corner in corners], np.float64)
        return sorted(map(int, self.positions[find_within(self.view(name), polygon)]))

    def _find_nearest(self, places: Sequence[int] | Ints, count: int) -> Ints:
        """Return the nearest samples on the map of some of them, each itself first, (q, at most count) places."""
        points, own = self.directions, np.asarray(places, np.int64)
        _, found = find_closest(points[own], points, own, min(count, len(points)) - 1)
        return np.column_stack([own, found])

    def _read(self, rows: Ints) -> None:
        """Make items of some rows of the data set."""
        run = self.queue.run
        scores = take_rows(run / "scores.parquet", rows, [*_COLUMNS, *_FIGURES]).to_pylist()
        content = take_rows(run / "dataset.parquet", rows, ["content_hash"])["content_hash"].to_pylist()
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        on_map = self.rows[places] == rows
        near = iter(self._find_nearest(places[on_map], _VOTES + 1) if on_map.any() else ())
        for row, values, key, is_there in zip(rows.tolist(), scores, content, on_map, strict=True):
            found = next(near) if is_there else np.empty(0, np.int64)
            item = self._make_item(row, values, key, found)
            self._items[item.position] = item
            self._rows[item.sample_id] = row

    def _make_item(self, row: int, values: dict[str, Any], content_hash: str, near: Ints) -> Item:
        evidence = self._gather_evidence(near)
        reason = write_reason(
            str(values["given_label"]),
            str(values["suggested_label"]),
            values["given_probability"],
            values["suggested_probability"],
            [one["label"] for one in evidence["neighbours"]],
            conflict=False,
        )
        shown = {**values, "rank": 0, "content_hash": content_hash, "reason": reason}
        return make_item(len(self.queue.items) + row, shown, evidence)

    def _gather_evidence(self, near: Ints) -> dict[str, list[dict[str, Any]]]:
        """Return the neighbours of a sample, (k,) places with itself first, and its likeliest classes by their labels."""
        labels = [self.queue.classes[place] for place in self.labels[near[1:]].tolist()]
        ids = self._scores["sample_id"].take(pa.array(self.rows[near[1 : _SHOWN + 1]])).to_pylist()
        self._rows |= dict(zip(ids, self.rows[near[1 : _SHOWN + 1]].tolist(), strict=True))
        away = np.linalg.norm(self.directions[near[1 : _SHOWN + 1]] - self.directions[near[:1]], axis=1)
        return {
            "neighbours": [
                {"sample_id": name, "label": label, "distance": float(f"{distance:.4g}")}
                for name, label, distance in zip(ids, labels, away.tolist(), strict=False)
            ],
            "likely": [
                {"label": label, "probability": count / len(labels)}
                for label, count in Counter(labels).most_common(_LIKELY)
            ],
        }


def find_within(points: Floats, polygon: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which points, (m, 2), are within a polygon, (k, 2), by how often a ray crosses its sides.

    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    >>> find_within(np.array([[0.5, 0.5], [1.5, 0.5]], np.float32), square).tolist()
    [True, False]
    """
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
