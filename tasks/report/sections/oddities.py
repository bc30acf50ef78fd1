"""What stands out beside the queue, each kind in a section of its own; nothing here changes the ranking of the queue."""

from typing import Any

import pyarrow.parquet as pq

from tasks.report.summary import Summary
from tasks.show.images import SMALL_SIDE, thumbnail
from tasks.show.parts import Cell, Part, Section, Table, Text
from tasks.show.text import NAME, counted, decimal, percent, plain
from tasks.show.view import Row, RunView

# What a person looks through before deciding whether to look further; the files have the rest.
GROUPS, MEMBERS, OUTLIERS, FEATURES = 8, 6, 12, 20
_READ = 4_096


def conflicts(view: RunView, _: Summary) -> Section | None:
    """Return groups of samples with the same content and different labels."""
    groups: dict[str, list[Row]] = {}
    name = "validation/conflicts.parquet"
    for row in view.first_rows(name, _READ):
        groups.setdefault(row["content_hash"], []).append({**row, "given_label": row["label"]})
    if not groups:
        return None
    count = counted(pq.read_metadata(view.folder / name).num_rows, "sample")
    text = (
        f"{count} with identical content carry different labels: at least one of each group is wrong. They are flagged "
        "whatever the models say."
    )
    table = _table(view, f"Identical content under different labels ({name})", list(groups.values()))
    return Section("conflicts", "Same content, different labels", [Text(text), table], "Conflicts")


def duplicates(view: RunView, _: Summary) -> Section | None:
    """Return samples that are nearly the same."""
    found = view.json("oddities.json")
    if not found or not found["near_duplicates"]:
        return None
    groups: dict[int, list[Row]] = {}
    for row in view.first_rows("duplicates.parquet", _READ):
        groups.setdefault(row["group"], []).append(row)
    differing = found["near_duplicate_groups_with_different_labels"]
    labels = (
        f"In {counted(differing, 'group')} the labels differ."
        if differing
        else "All of a group have one label."
    )
    text = (
        f"{counted(found['near_duplicates'], 'sample')} in {counted(found['near_duplicate_groups'], 'group')} are nearly the "
        "same as another one, without being identical: nearer than 13 % of the usual distance to a neighbour. "
        f"{labels} Copies in both training and test data make a model look better than it is."
    )
    ordered = sorted(groups.values(), key=lambda group: len({row["given_label"] for row in group}) == 1)
    table = _table(view, "Nearly the same, groups with different labels first (duplicates.parquet)", ordered)
    return Section("duplicates", "Near-duplicates", [Text(text), *_extent(found), table], "Near-duplicates")


def outliers(view: RunView, _: Summary) -> Section | None:
    """Return samples that are far from everything."""
    found = view.json("oddities.json")
    if not found or not found["outliers"]:
        return None
    text = (
        f"{counted(found['outliers'], 'sample')} lie more than 2.7 times as far from their neighbours as samples usually do: "
        "often a broken file, a unit mixed up, or something that belongs to no class."
    )
    rows = view.first_rows("outliers.parquet", OUTLIERS)
    images = view.payload({row["sample_id"] for row in rows}, "image")
    cells = [
        [
            Cell(plain(row["sample_id"]), image=_image(images, row)),
            Cell(plain(row["given_label"])),
            Cell(f"{decimal(row['distance'], 1)} ×"),
        ]
        for row in rows
    ]
    caption = "Far from everything, farthest first (outliers.parquet)"
    table = Table(caption, ["Sample", "Given label", "Usual distance"], cells, numeric=frozenset({2}))
    return Section("outliers", "Outliers", [Text(text), *_extent(found), table], "Outliers")


def leaks(view: RunView, _: Summary) -> Section | None:
    """Return features that tell the label alone."""
    found = view.json("oddities.json")
    if not found or not found["telling_features"]:
        return None
    telling = found["telling_features"]
    text = (
        f"{counted(len(telling), 'feature')} of {found['features_tried']:,} "
        f"{'tells' if len(telling) == 1 else 'tell'} the label almost alone. Where such a feature was made from the label, or is "
        "known only after it, models learn to repeat the given label, wrong or not: leave it out (--features). Where it is "
        "simply a good measurement, all is well."
    )
    cells = [
        [Cell(plain(one["feature"], NAME)), Cell(percent(one["told"], 1), one["told"])]
        for one in telling[:FEATURES]
    ]
    caption = (
        "Share of the errors of guessing the most frequent class that the feature avoids alone, out of sample"
    )
    table = Table(caption, ["Feature", "Told"], cells, numeric=frozenset({1}))
    return Section("leaks", "Features that give the label away", [Text(text), table], "Leaks")


def _extent(found: dict[str, Any]) -> list[Part]:
    """Say what was looked at, where that is not every pair."""
    if found["exact"]:
        return []
    part = found["looked_at"] < found["rows"]
    among = f"a random {found['looked_at']:,} of {found['rows']:,} samples" if part else "all samples"
    more = " There are more in the whole." if part else ""
    text = (
        f"Looked for among {among}, by an approximate search for neighbours in at most 64 directions.{more}"
    )
    return [Text(text, "quiet")]


def _table(view: RunView, caption: str, groups: list[list[Row]]) -> Table:
    """Return groups of samples, a row each, the first of a group with its number."""
    shown = [group[:MEMBERS] for group in groups[:GROUPS]]
    images = view.payload({row["sample_id"] for group in shown for row in group}, "image")
    cells = []
    for number, group in enumerate(shown, start=1):
        more = len(groups[number - 1]) - len(group)
        for place, row in enumerate(group):
            last = f" and {more:,} more" if more and place == len(group) - 1 else ""
            name = f"{plain(row['sample_id'])}{last}"
            cells.append(
                [Cell(str(number)), Cell(name, image=_image(images, row)), Cell(plain(row["given_label"]))]
            )
    return Table(caption, ["Group", "Sample", "Given label"], cells)


def _image(images: dict[str, Any], row: Row) -> Any:  # noqa: ANN401 (an image, or none)
    return thumbnail(images.get(row["sample_id"]), f"Sample {plain(row['sample_id'])}", SMALL_SIDE)


SECTIONS = (conflicts, duplicates, outliers, leaks)
