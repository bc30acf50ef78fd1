"""What stands out beside the queue, each kind in a section of its own; nothing here changes the ranking of the queue."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.report.summary import Summary
from tasks.show.images import SMALL_SIDE, draw_thumbnail
from tasks.show.parts import Cell, Group, GroupMember, Groups, ReportPart, Section, Table, TableRows, Text
from tasks.show.text import NAME, format_decimal, format_share, pluralise, show_plain
from tasks.show.view import Row, RunView
from tasks.storage import read_parquet

# What a person looks through before deciding whether to look further; the files have the rest.
GROUPS, MEMBERS, OUTLIERS, FEATURES = 6, 6, 12, 20
# Of a table's columns, and of a text, what tells two samples apart at a glance.
COLUMNS, LONG = 4, 240
_READ = 4_096


def build_conflicts(view: RunView, _: Summary) -> Section | None:
    """Return groups of samples with the same content and different labels."""
    groups: dict[str, list[Row]] = {}
    name = "validation/conflicts.parquet"
    for row in view.first_rows(name, _READ):
        groups.setdefault(row["content_hash"], []).append({**row, "given_label": row["label"]})
    if not groups:
        return None
    count = pluralise(pq.read_metadata(view.folder / name).num_rows, "sample")
    text = (
        f"{count} with identical content carry different labels: at least one of each group is wrong. They are flagged "
        "whatever the models say."
    )
    shown = _build_groups(view, f"Identical content under different labels ({name})", list(groups.values()))
    return Section("conflicts", "Same content, different labels", [Text(text), shown], "Conflicts")


def build_duplicates(view: RunView, summary: Summary) -> Section | None:
    """Return samples that are nearly the same, as the search beside the queue or the making of the folds found them."""
    found, copies = view.json("oddities.json"), summary.get("data", {}).get("groups")
    if found and found["near_duplicates"]:
        groups, differing = _group_near_duplicates(view), found["near_duplicate_groups_with_different_labels"]
        count, of = found["near_duplicates"], found["near_duplicate_groups"]
        near = ", without being identical: nearer than 13 % of the usual distance to a neighbour"
        extent = _describe_extent(found)
    elif copies and copies["column"] is None and (made := _group_copies(view)):
        groups, differing, of = made
        count, near, extent = copies["shared"], " and lie in one fold with it", []
    else:
        return None
    differ = f"In {pluralise(differing, 'group')} the labels differ."
    labels = differ if differing else "All of a group have one label."
    text = (
        f"{pluralise(count, 'sample')} in {pluralise(of, 'group')} are nearly the same as another one{near}. {labels} "
        "Copies in both training and test data make a model look better than it is."
    )
    shown = _build_groups(view, "Nearly the same, groups with different labels first", groups)
    return Section("duplicates", "Near-duplicates", [Text(text), *extent, shown], "Near-duplicates")


def _group_copies(view: RunView) -> tuple[list[list[Row]], int, int] | None:
    """Return the groups to show of samples that are in one fold as copies, in how many labels differ, and how many there are."""
    path, scores = view.path("model/groups.npy"), view.scores
    codes = np.load(path) if path else np.empty(0, np.int64)
    if scores is None or len(codes) != len(scores):
        return None
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    given = scores.given[order]
    differs = np.minimum.reduceat(given, starts) != np.maximum.reduceat(given, starts)
    chosen = np.flatnonzero(sizes > 1)
    chosen = chosen[np.argsort(~differs[chosen], kind="stable")]
    ids, found = scores.ids, []
    for group in chosen[:GROUPS].tolist():
        places = order[starts[group] : starts[group] + sizes[group]]
        names = ids.take(pa.array(places)).to_pylist()
        labels = [scores.classes[code] for code in scores.given[places]]
        rows = zip(names, labels, strict=True)
        found.append([{"sample_id": one, "given_label": label} for one, label in rows])
    return found, int(differs[chosen].sum()), len(chosen)


def _group_near_duplicates(view: RunView) -> list[list[Row]]:
    """Return the groups to show: those whose labels differ first, then the closest."""
    table = read_parquet(view.folder / "duplicates.parquet", columns=["group", "sample_id", "given_label"])
    labels = table.group_by("group").aggregate([("given_label", "count_distinct")])
    order = labels.sort_by([("given_label_count_distinct", "descending"), ("group", "ascending")])
    wanted = order["group"].slice(0, GROUPS).to_pylist()
    rows = table.filter(pc.is_in(table["group"], value_set=pa.array(wanted, pa.int64()))).to_pylist()
    return [[row for row in rows if row["group"] == group] for group in wanted]


def build_outliers(view: RunView, _: Summary) -> Section | None:
    """Return samples that are far from everything."""
    found = view.json("oddities.json")
    if not found or not found["outliers"]:
        return None
    text = (
        f"{pluralise(found['outliers'], 'sample')} lie more than 2.7 times as far from their neighbours as samples usually do: "
        "often a broken file, a unit mixed up, or something that belongs to no class."
    )
    rows = view.first_rows("outliers.parquet", OUTLIERS)
    images = view.payload({row["sample_id"] for row in rows}, "image")
    cells: TableRows = [
        [
            Cell(show_plain(row["sample_id"]), image=_draw_thumbnail(images, row)),
            show_plain(row["given_label"]),
            f"{format_decimal(row['distance'], 1)} ×",
        ]
        for row in rows
    ]
    caption = "Far from everything, farthest first (outliers.parquet)"
    table = Table(caption, ["Sample", "Given label", "Usual distance"], cells, numeric=frozenset({2}))
    parts = [Text(text), *_describe_extent(found), table]
    return Section("outliers", "Outliers", parts, "Outliers", folded=True)


def build_leaks(view: RunView, _: Summary) -> Section | None:
    """Return features that tell the label alone."""
    found = view.json("oddities.json")
    if not found or not found["telling_features"]:
        return None
    telling = found["telling_features"]
    text = (
        f"{pluralise(len(telling), 'feature')} of {found['features_tried']:,} "
        f"{'tells' if len(telling) == 1 else 'tell'} the label almost alone. Where such a feature was made from the label, or is "
        "known only after it, models learn to repeat the given label, wrong or not: leave it out. Where it is simply a good "
        "measurement, all is well."
    )
    cells: TableRows = [
        [show_plain(one["feature"], NAME), Cell(format_share(one["told"], 1), one["told"])]
        for one in telling[:FEATURES]
    ]
    caption = (
        "Share of the errors of guessing the most frequent class that the feature avoids alone, out of sample"
    )
    table = Table(caption, ["Feature", "Told"], cells, numeric=frozenset({1}))
    return Section("leaks", "Features that give the label away", [Text(text), table], "Leaks")


def _describe_extent(found: dict[str, Any]) -> list[ReportPart]:
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


def _build_groups(view: RunView, caption: str, groups: list[list[Row]]) -> Groups:
    """Return groups of samples with what they show; a label that is not the most frequent one of its group is marked."""
    shown = [group[:MEMBERS] for group in groups[:GROUPS]]
    wanted = {row["sample_id"] for group in shown for row in group}
    images, texts = view.payload(wanted, "image"), _read_texts(view, wanted)
    found = []
    for group, every in zip(shown, groups, strict=False):
        labels = Counter(row["given_label"] for row in every).most_common()
        usual = labels[0][0] if len(labels) == 1 or labels[0][1] > labels[1][1] else None
        members = [
            GroupMember(
                sample_id=show_plain(row["sample_id"]),
                label=show_plain(row["given_label"]),
                differs=row["given_label"] != usual,
                text=show_plain(texts.get(row["sample_id"], ""), LONG),
                image=_draw_thumbnail(images, row),
            )
            for row in group
        ]
        found.append(Group(members, len(every) - len(group)))
    return Groups(caption, found)


def _read_texts(view: RunView, wanted: set[str]) -> dict[str, str]:
    """Return what a person recognises each sample by: its text, or its first columns."""
    data = view.dataset
    if data is None or data.payload in ("image", "embedding"):
        return {}
    if data.payload == "text":
        return view.payload(wanted, "text")
    columns = {name: view.payload(wanted, name) for name in data.display_columns[:COLUMNS]}
    return {
        sample: ", ".join(
            f"{name} {show_plain(values[sample])}" for name, values in columns.items() if sample in values
        )
        for sample in wanted
    }


def _draw_thumbnail(images: dict[str, Any], row: Row) -> Any:  # noqa: ANN401 (an image, or none)
    return draw_thumbnail(images.get(row["sample_id"]), f"Sample {show_plain(row['sample_id'])}", SMALL_SIDE)


SECTIONS = (build_conflicts, build_duplicates, build_outliers, build_leaks)
