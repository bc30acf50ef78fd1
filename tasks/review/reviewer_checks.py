"""Planted controls: samples whose right answer is known, hidden among the queue.

Two kinds, in equal numbers. A *flip* is a sample believed clean that is shown with a wrong given label, its
own label being the suggestion: a careful reviewer finds it. A *clean* one is shown with its own label
and a wrong suggestion: a reviewer who accepts suggestions unseen fails it. Both take their numbers (rank, score,
probabilities) from the queue row before them and their pair of labels from pairs that occur in the queue, so
that only their content tells them apart.

They are drawn, seeded by the run's name, from rows with verified labels where the data set has them;
otherwise from the half of the unflagged rows that the audit believes most. Answers to them are logged, marked
as control, and never change any data.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.heads.neighbours import find_nearest
from tasks.queue.reason import write_reason
from tasks.queue.rows import find_rows
from tasks.review.log import Control
from tasks.storage import read_batches, read_parquet

# One sample in twenty costs the reviewer little; at 1,000 decisions it gives 25 of each kind, an interval of
# about ± 0.1 on a sensitivity of 0.95.
CONTROL_SHARE: Final = 0.05
# A short queue gets a few all the same, as long as they stay under a tenth of it.
_AT_LEAST = 5
# Neighbours looked up for each control: enough to find five with another label among them in all but pure
# regions.
_CLOSE = 50

Row = dict[str, Any]


def count_checks(queue: int, share: float) -> int:
    """Return how many controls of each kind a queue of this length gets.

    >>> [count_checks(n, 0.05) for n in (10, 60, 200, 1000)]
    [0, 3, 5, 25]
    """
    return max(round(queue * share / 2), min(_AT_LEAST, queue // 20))


def plant_controls(run: Path, queue: Sequence[Row], share: float) -> dict[int, list[Row]]:
    """Draw the controls of a run.

    Args:
        queue: The rows of the queue, worst first.
        share: Share of controls, as a part of the queue.

    Returns:
        By the place of a row, the controls that come after it: what they show in which they differ from it. Fewer than asked
        for where too few rows are believed clean.
    """
    seed = hashlib.sha256(f"controls\0{run.name}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "big"))
    wanted = 2 * count_checks(len(queue), share)
    if wanted == 0:
        return {}
    believed = _draw_clean_rows(run, {row["sample_id"] for row in queue}, wanted, rng)
    places = _draw_places(len(queue), len(believed), rng)
    kinds: list[Control] = ["flip", "clean"] * (len(believed) // 2 + 1)
    found = _find_nearest(run, [row["features"] for row in believed], {row["sample_id"] for row in believed})
    planted: dict[int, list[Row]] = defaultdict(list)
    order = rng.permutation(len(believed))
    for row, place, number, close in zip(believed, places, order, found, strict=True):
        kind, label = kinds[number], row["label"]
        if (other := _draw_other_label(queue, label, kind, rng)) is not None:
            planted[int(place)].append(_disguise_control(row, kind, other, queue[place], close))
    return planted


def _disguise_control(row: Row, kind: Control, other: str, before: Row, close: list[Row]) -> Row:
    """Return a control with the looks of the queue row `before` it: its figures, as much evidence, a sentence to match."""
    label = row["label"]
    given, suggested = (other, label) if kind == "flip" else (label, other)
    like = json.loads(before["evidence"] or "{}")
    neighbours = close[: len(like.get("neighbours", ()))]
    # Whom it would harm takes a solve; a wrong label harms the nearest samples with another label as a rule.
    strangers = [near for near in close if near["label"] != given][: len(like.get("harms", ()))]
    harms = [{"sample_id": near["sample_id"], "label": near["label"]} for near in strangers]
    sentence = write_reason(
        given,
        suggested,
        before["given_probability"],
        before["suggested_probability"],
        [near["label"] for near in neighbours],
        conflict=False,
        agree=tuple(like.get("models", (0, 1))),
        flagged=before["flagged"],
    )
    evidence = {"harms": harms, "neighbours": neighbours}
    if "likely" in like:
        changed = {before["given_label"]: given, before["suggested_label"]: suggested}
        labels = dict.fromkeys(changed.get(one["label"], one["label"]) for one in like["likely"])
        likely = zip(like["likely"], labels, strict=False)
        evidence["likely"] = [{**one, "label": name} for one, name in likely]
    return {
        "sample_id": row["sample_id"],
        "content_hash": row["content_hash"],
        "given_label": given,
        "suggested_label": suggested,
        "reason": sentence,
        "evidence": json.dumps(evidence),
        "control": kind,
    }


def _draw_clean_rows(run: Path, queued: set[str], wanted: int, rng: np.random.Generator) -> list[Row]:
    """Return up to `wanted` random rows whose label is verified, or believed by the audit."""
    names = pq.read_schema(run / "dataset.parquet").names
    ids: list[str] = []
    if "trusted" in names:
        trusted = find_rows(run / "dataset.parquet", "trusted", [True], ["sample_id", "trusted"]).to_pylist()
        ids = [row["sample_id"] for row in trusted if row["sample_id"] not in queued]
    if len(ids) < wanted:
        scores = read_parquet(run / "scores.parquet", columns=["score", "flagged"])
        score, flagged = scores["score"].to_numpy(), scores["flagged"].to_numpy()
        clean = np.flatnonzero(~flagged.astype(bool))
        upper = clean[score[clean] >= np.median(score[clean])] if len(clean) else clean
        drawn = rng.permutation(upper)[: 4 * wanted]
        table = read_parquet(run / "scores.parquet", columns=["sample_id"]).take(pa.array(drawn))
        ids += [i for i in table["sample_id"].to_pylist() if i not in queued and i not in set(ids)]
    else:
        rng.shuffle(ids)
    columns = ["sample_id", "content_hash", "label", *(["features"] if "features" in names else [])]
    rows = find_rows(run / "dataset.parquet", "sample_id", ids, columns).to_pylist()
    by_id = {row["sample_id"]: {"features": None, **row} for row in rows if row["label"] is not None}
    path = run / "validation" / "conflicts.parquet"
    contested = (
        read_parquet(path, columns=["content_hash"])["content_hash"].to_pylist() if path.exists() else ()
    )
    usable = [by_id[i] for i in ids if i in by_id and by_id[i]["content_hash"] not in set(contested)]
    return usable[:wanted]


def _draw_places(queue: int, controls: int, rng: np.random.Generator) -> NDArray[Any]:
    """Return one random place in each of `controls` equal stretches of the queue."""
    edges = np.linspace(0, queue, controls + 1)
    return np.minimum(np.floor(rng.uniform(edges[:-1], edges[1:])).astype(int), queue - 1)


def _draw_other_label(
    queue: Sequence[Row], label: str, kind: Control, rng: np.random.Generator
) -> str | None:
    """Draw the wrong label from the pairs that the queue shows, so that the control looks like the rest."""
    own, across = ("suggested_label", "given_label") if kind == "flip" else ("given_label", "suggested_label")
    seen = [str(row[across]) for row in queue if row[own] == label and row[across] != label]
    seen = seen or sorted({str(row["given_label"]) for row in queue if row["given_label"] != label})
    return str(rng.choice(seen)) if seen else None


def _find_nearest(run: Path, points: Sequence[Sequence[float] | None], own: set[str]) -> list[list[Row]]:
    """Return the nearest samples of each point, by standardised features, in one pass over the data set.

    Args:
        points: Feature vectors, (d,) each; None where the data set has no features.
        own: Samples that are not neighbours: the points themselves.
    """
    if not points or any(point is None for point in points):
        return [[] for _ in points]
    path = run / "dataset.parquet"
    first = next(_read_feature_blocks(path))[1]
    # The first rows fill gaps, and put different units on one footing.
    known = np.isfinite(first)
    usual = (np.where(known, first, 0).sum(axis=0) / known.sum(axis=0).clip(1)).astype(np.float32)
    spread = np.where(known, first, usual).std(axis=0)
    scale = np.where(spread > 0, spread, np.float32(1))

    def standardised(rows: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((np.where(np.isfinite(rows), rows, usual) - usual) / scale)

    blocks = ((place, standardised(rows)) for place, rows in _read_feature_blocks(path))
    asked = standardised(np.asarray(points, dtype=np.float32))
    found = find_nearest(blocks, asked, np.full(len(asked), -1), _CLOSE + len(own))
    samples = read_parquet(path, columns=["sample_id", "label"])
    close = []
    for which, squared in zip(found.index, found.distance, strict=True):
        rows = samples.take(pa.array(which)).to_pylist()
        near = [
            {"sample_id": row["sample_id"], "label": str(row["label"]), "distance": round(float(d), 4)}
            for row, d in zip(rows, np.sqrt(squared), strict=True)
            if row["sample_id"] not in own
        ]
        close.append(near[:_CLOSE])
    return close


def _read_feature_blocks(path: Path) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield where the rows of each block are, and their features, (b, d) float32."""
    for place, batch in read_batches(path, ["features"], 8192):
        rows = batch.column(0).flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        yield place, rows.reshape(len(batch), -1)
