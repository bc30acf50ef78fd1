"""A small data set that lives: what happens to it night after night, and what each night's queue must show."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.clean import Cleaned, clean_labels
from flows.cli import run
from flows.config import CleanParameters
from flows.relabel import ApplyParameters, apply_review
from tasks.review.log import Decision, DecisionLog, log_path
from tasks.review.queue import load_queue
from tasks.runs.finished import find_run

CLASSES = ("cat", "dog")
OPTIONS = {"rounds": 1, "controls": 0.0, "feature_map": "raw", "folds": 3, "id": "id"}
# Nights that change something, one kind of change each, then an empty one, and all of it at once.
NIGHTS = (
    "begin", "add", "remove_and_relabel", "add_column", "rename_column", "change_type", "reorder", "nothing",
    "remove_column", "everything",
)  # fmt: skip
# After every third night people review, and apply.
REVIEW_EVERY = 3


@dataclass
class LivingData:
    """The file of a user and the results beside it.

    Attributes:
        source: The file.
        out: The folder of the results here.
        sweep: Sweeps the file.
        apply: Applies the decisions.
    """

    source: Path
    out: Path
    sweep: Callable[[], None]
    apply: Callable[[], None]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    decided: set[tuple[str, str]] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    asked: dict[str, str] = field(default_factory=dict)
    runs: list[Path] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Make two well separated classes, with six wrong labels."""
        self.frame = self._rows(84, wrong=6)

    def _rows(self, count: int, wrong: int) -> pd.DataFrame:
        first, truth = len(self.frame) + 1_000 * len(self.runs), np.arange(count) % 2
        rows = {
            "id": [f"row-{first + n}" for n in range(count)],
            "x0": self.rng.normal(truth * 3.0, 0.4),
            "x1": self.rng.normal(truth * 3.0, 0.4),
            "age": self.rng.integers(1, 9, count),
            "label": [CLASSES[n] for n in np.where(np.arange(count) < wrong, 1 - truth, truth)],
        }
        self.touched |= set(rows["id"])
        return pd.DataFrame(rows)

    def add(self) -> None:
        """Add rows, one of them wrong; a column that only the file has by now is empty for them."""
        self.frame = pd.concat([self.frame, self._rows(8, wrong=1)], ignore_index=True)

    def remove_and_relabel(self) -> None:
        """Take rows away, and give one another label."""
        self.frame = self.frame.drop(index=[20, 21]).reset_index(drop=True)
        row = 40
        self.frame.loc[row, "label"] = CLASSES[1 - CLASSES.index(self.frame.loc[row, "label"])]
        self.touched.add(self.frame.loc[row, "id"])

    def add_column(self) -> None:
        """Add a column."""
        self.frame["weight"] = np.arange(len(self.frame)) % 7 + 0.5

    def rename_column(self) -> None:
        """Rename it."""
        self.frame = self.frame.rename(columns={"weight": "mass"})

    def change_type(self) -> None:
        """Make words of a column of numbers."""
        self.frame["age"] = [f"{age} years" for age in self.frame["age"]]

    def reorder(self) -> None:
        """Write the rows in another order."""
        self.frame = self.frame.sample(frac=1, random_state=1).reset_index(drop=True)

    def nothing(self) -> None:
        """Leave the file as it is."""

    def remove_column(self) -> None:
        """Take a column away."""
        self.frame = self.frame.drop(columns="mass")

    def everything(self) -> None:
        """Do all of it in one night."""
        self.add()
        self.remove_and_relabel()
        self.add_column()
        self.reorder()
        self.frame = self.frame.drop(columns="age")

    def live(self, nights: tuple[str, ...] = NIGHTS) -> None:
        """Go through the nights, and look at what each leaves."""
        for number, event in enumerate(nights):
            before = set(self.frame.get("id", ()))
            getattr(self, event)()
            if event != "nothing":
                self.frame.to_csv(self.source, index=False)
            self.sweep()
            self._look(event, before)
            self.touched = set()
            if number % REVIEW_EVERY == REVIEW_EVERY - 1:
                self._review()

    def _look(self, event: str, before: set[str]) -> None:
        folder = (self.out / "runs" / "latest").resolve()
        assert (folder in self.runs) == (event == "nothing"), event
        if folder in self.runs:
            return
        self.runs.append(folder)
        labels = dict(zip(self.frame["id"], self.frame["label"], strict=True))
        scores = pq.read_table(folder / "scores.parquet").to_pylist()
        undecided = {
            name
            for row in scores
            if row["flagged"] and (name := row["sample_id"], labels[name]) not in self.decided
        }
        still_open = {name: self.asked[name] for name in undecided & self.asked.keys() - self.touched}
        shown = undecided - still_open.keys()
        assert set(_ids(folder / "queue.parquet")) == shown, event
        if len(self.runs) > 1:
            rows = pq.read_table(folder / "open.parquet").to_pylist()
            assert {row["sample_id"]: row["run"] for row in rows} == still_open, event
            counts = _json(folder / "since.json")["rows"]
            new = set(labels) - before
            assert (counts["new"], counts["removed"]) == (len(new), len(before - set(labels))), event
            assert counts["changed"] == len(self.touched & set(labels) - new), event
        items = {item.sample_id: item.seen for item in load_queue(folder, with_open=True).items}
        assert items.keys() == shown | still_open.keys(), event
        seen = dict.fromkeys(still_open, "still open")
        seen |= {name: "changed" if name in self.touched & before else "new" for name in shown}
        assert items == seen, event
        assert find_run(self.out) == folder
        self.asked = still_open | dict.fromkeys(shown, folder.name)
        self.versions.append(_json(folder / "version.json")["version"])
        assert self.versions == list(range(1, len(self.runs) + 1)), event
        trend = _json(folder / "before.json")["trend"]
        assert [line["run_id"] for line in trend] == [run.name for run in self.runs[:-1]]
        assert {line["run_id"]: line["reviewed"] for line in trend if line["reviewed"]} == self.answers
        assert ("Since the last run" in (folder / "report.html").read_text()) == (len(self.runs) > 1)

    def _review(self) -> None:
        """Decide on the first two open samples where they are shown, apply, and take the new labels over into the file."""
        log = DecisionLog(log_path(self.out))
        for name in sorted(self.asked)[:2]:
            run = self.asked.pop(name)
            queue = pq.read_table(self.out / "runs" / run / "queue.parquet").to_pylist()
            (row,) = [one for one in queue if one["sample_id"] == name]
            keys = {key: row[key] for key in ("sample_id", "content_hash", "given_label")}
            new = CLASSES[1 - CLASSES.index(row["given_label"])]
            log.append([Decision(decision="relabel", new_label=new, reviewer="Ada", run=run, **keys)])
            self.decided |= {(name, row["given_label"]), (name, new)}
            self.answers[run] = self.answers.get(run, 0) + 1
            self.frame.loc[self.frame["id"] == name, "label"] = new
            self.touched.add(name)
        log.close()
        self.apply()
        newest = max((self.out / "datasets").glob("*/v[0-9]*"))
        corrected = pq.read_table(newest / "dataset.parquet")
        found = dict(zip(corrected["sample_id"].to_pylist(), corrected["label"].to_pylist(), strict=True))
        assert found == dict(zip(self.frame["id"], self.frame["label"], strict=True))


def _ids(path: Path) -> list[str]:
    ids: list[str] = pq.read_table(path)["sample_id"].to_pylist()
    return ids


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def by_command(source: Path, out: str, here: Path) -> LivingData:
    """Sweep and apply by the command; `here` is where the results lie on this machine."""
    options = [
        text for name, value in OPTIONS.items() for text in (f"--{name.replace('_', '-')}", str(value))
    ]

    def sweep() -> None:
        assert run(["clean", str(source), *options, "--quiet", "--out", out]) == 0

    def apply() -> None:
        assert run(["apply", "--yes", "--no-gain", "--out", out]) == 0

    return LivingData(source, here, sweep, apply)


def by_flow(source: Path, out: str, here: Path) -> LivingData:
    """Sweep and apply by the flows, on the server that is set."""

    def sweep() -> None:
        assert isinstance(clean_labels(CleanParameters(source=str(source), out=out, **OPTIONS)), Cleaned)

    def apply() -> None:
        assert apply_review(ApplyParameters(out=out, gain=False), return_state=True).is_completed()

    return LivingData(source, here, sweep, apply)
