"""The files of data sets that change from night to night: rows that come and go, other labels, another column, another order.

What is known of them by id is compared with what a run says.
"""

from collections.abc import Collection
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.errors import InputError
from tasks.runs.checksums import check_run

CLASSES = ("north", "south", "west")
CHANGES = ("same", "added", "removed", "relabelled", "column", "reordered")


class ChangingTable:
    """The file of a data set: rows with an id, a label and features.

    Args:
        source: Name of the file, in which `{date}` stands for the day.
    """

    def __init__(self, name: str, source: str, rng: np.random.Generator) -> None:
        self.name, self.source, self.rng, self.made = name, source, rng, 0
        self.rows = pd.DataFrame(columns=["id", "label", "x0", "x1", "x2", "x3"])
        self.add(int(rng.integers(60, 151)))

    def add(self, count: int, wrong: float = 0.08) -> None:
        """Add rows of three well separated classes, a share of them under a wrong label."""
        names, true = self.rows.columns[2:], self.rng.integers(len(CLASSES), size=count)
        given = np.where(self.rng.random(count) < wrong, (true + 1) % len(CLASSES), true)
        values = self.rng.normal(3.0 * (np.arange(len(names)) == true[:, None]), 0.6)
        ids = [f"{self.name}-{number}" for number in range(self.made, self.made + count)]
        new = pd.DataFrame(values, columns=names).assign(id=ids, label=np.array(CLASSES)[given])
        self.rows = pd.concat([self.rows, new], ignore_index=True)
        self.made += count

    def change(self, how: str) -> None:
        """Do to the rows what happens to them before a night."""
        some = self.rng.choice(len(self.rows), 3, replace=False)
        if how == "added":
            self.add(10, wrong=0.2)
        elif how == "removed":
            self.rows = self.rows.drop(index=some).reset_index(drop=True)
        elif how == "relabelled":
            self.rows.loc[some, "label"] = self.rows.loc[some, "label"].map(
                dict(zip(CLASSES, np.roll(CLASSES, -1), strict=True))
            )
        elif how == "column":
            self.rows[f"x{self.rows.shape[1] - 2}"] = self.rng.normal(size=len(self.rows))
        elif how == "reordered":
            self.rows = self.rows.sample(frac=1, random_state=self.rng, ignore_index=True)

    def write(self, folder: Path, day: date) -> None:
        """Write the file of a day; a dated one lies beside those of the days before."""
        self.rows.to_csv(folder / self.source.format(date=day), index=False)


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
    labels = dict(zip(table.rows["id"], table.rows["label"], strict=True))
    swept = pd.read_parquet(run / "dataset.parquet", columns=["sample_id", "label"])
    if dict(swept.to_numpy().tolist()) != labels:
        return [f"{run.name} is not of tonight's rows"]
    scores = pd.read_parquet(run / "scores.parquet")
    flagged = set(scores.loc[scores["flagged"] == 1, "sample_id"])
    paths = [path for path in (run / "queue.parquet", run / "open.parquet") if path.exists()]
    asked = {name for path in paths for name in pd.read_parquet(path)["sample_id"]}
    answered = {name for name, label in labels.items() if (name, label) in settled}
    wrong = {
        "asks again": set() if is_reviewed else asked & answered,
        "does not ask": flagged - asked - answered,
    }
    return [f"{run.name} {what}: {sorted(some)}" for what, some in wrong.items() if some]
