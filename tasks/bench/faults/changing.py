"""The files of data sets that change from night to night: rows that come and go, other labels, another column, another order.

What is known of them by id is compared with what a run says.
"""

import csv
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.runs.checksums import check_run

CLASSES = ("north", "south", "west")
CHANGES = ("same", "added", "removed", "relabelled", "column", "reordered")


@dataclass
class ChangingTable:
    """The file of a data set: rows by id, each with its label and the features that all rows have."""

    name: str
    source: str
    rng: random.Random
    rows: dict[str, tuple[str, list[float]]] = field(default_factory=dict)
    columns: int = 4
    made: int = 0

    def add(self, count: int, wrong: float = 0.08) -> None:
        """Add rows of three well separated classes, a share of them under a wrong label."""
        for _ in range(count):
            true = self.rng.randrange(len(CLASSES))
            given = (true + 1) % len(CLASSES) if self.rng.random() < wrong else true
            values = [self.rng.gauss(3.0 * (column == true), 0.6) for column in range(self.columns)]
            self.rows[f"{self.name}-{self.made}"] = CLASSES[given], values
            self.made += 1

    def change(self, how: str) -> None:
        """Do to the rows what happens to them before a night."""
        some = self.rng.sample(sorted(self.rows), 3)
        if how == "added":
            self.add(10, wrong=0.2)
        elif how == "removed":
            for name in some:
                del self.rows[name]
        elif how == "relabelled":
            for name in some:
                label, values = self.rows[name]
                self.rows[name] = CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)], values
        elif how == "column":
            self.columns += 1
            for _, values in self.rows.values():
                values.append(self.rng.gauss(0, 1))
        elif how == "reordered":
            names = self.rng.sample(sorted(self.rows), len(self.rows))
            self.rows = {name: self.rows[name] for name in names}

    def write(self, folder: Path, day: date) -> None:
        """Write the file of a day; a dated one lies beside those of the days before."""
        with (folder / self.source.format(date=day)).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", *(f"x{column}" for column in range(self.columns)), "label"])
            writer.writerows([name, *values, label] for name, (label, values) in self.rows.items())


def list_wrong_results(
    run: Path, table: ChangingTable, settled: Collection[tuple[str, str | None]], *, is_reviewed: bool
) -> list[str]:
    """Return what is wrong with a data set's newest run: with its files, its rows, and whom it asks about.

    Args:
        settled: The samples that people have decided on, each with a label under which it is not asked again.
        is_reviewed: Whether people have decided on its queue since.
    """
    if not (run / "manifest.json").exists():
        return [f"{table.name} was not swept"]
    try:
        check_run(run)
    except InputError as error:
        return [str(error)]
    labels = {name: label for name, (label, _) in table.rows.items()}
    rows = pq.read_table(run / "dataset.parquet", columns=["sample_id", "label"]).to_pylist()
    if {row["sample_id"]: row["label"] for row in rows} != labels:
        return [f"{run.name} is not of tonight's rows"]
    scores = pq.read_table(run / "scores.parquet", columns=["sample_id", "flagged"]).to_pylist()
    flagged = {row["sample_id"] for row in scores if row["flagged"]}
    paths = [path for path in (run / "queue.parquet", run / "open.parquet") if path.exists()]
    asked = {name for path in paths for name in pq.read_table(path)["sample_id"].to_pylist()}
    answered = {name for name, label in labels.items() if (name, label) in settled}
    twice, lost = set() if is_reviewed else asked & answered, flagged - asked - answered
    return [
        f"{run.name} {what}: {sorted(some)}"
        for what, some in (("asks again", twice), ("does not ask", lost))
        if some
    ]
