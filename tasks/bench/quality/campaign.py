"""The settings of the quality benchmark, and a campaign over them that survives being killed.

A cell is one setting with one seed. Its results are one JSON line for each method, appended as soon as they
are known; what is in the file is not computed again.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

from tasks.bench.datasets import Floats, Ints, load_data, split_clean_test, standardise
from tasks.bench.quality.case import Case, Method
from tasks.bench.quality.metrics import kernel_smoother, measure
from tasks.bench.quality.noise import KINDS, distinct_rates, plant
from tasks.bench.quality.ours import NETWORKS, list_networks, list_ours
from tasks.bench.quality.peers import list_peers
from tasks.bench.tally import ResultFile, Row

AS_SHIPPED = "as_shipped"
RATES = (0.02, 0.05, 0.20, 0.35)
HALVES = {"develop": "the half to develop on", "final": "the half looked at last"}


@dataclass(frozen=True)
class Setting:
    """A data set with one kind and rate of errors.

    >>> Setting("wine", "uniform", 0.2).name
    'wine/uniform/20'
    """

    data: str
    noise: str
    rate: float = 0.0

    @property
    def name(self) -> str:
        """Name in results and tables."""
        return f"{self.data}/{self.noise}" + ("" if self.noise == AS_SHIPPED else f"/{self._percent}")

    @property
    def _percent(self) -> int:
        return round(100 * self.rate)

    @property
    def half(self) -> Literal["develop", "final"]:
        """The half that this setting belongs to: scores are developed on one and reported on the other.

        A hash decides for each data set and kind of error, and the rates alternate from there (2 and 20 %
        against 5 and 35 %), so that both halves hold every data set with every kind of error.
        """
        if self.noise == AS_SHIPPED:
            return "develop"
        start = hashlib.sha256(f"{self.data}/{self.noise}".encode()).digest()[0]
        return "develop" if (start + self._percent) % 2 == 0 else "final"

    def about(self, seed: int) -> Row:
        """Return what a row of results says of its cell."""
        about: Row = {"setting": self.name, "data": self.data, "noise": self.noise, "rate": self.rate}
        return about | {"half": self.half, "seed": seed}


@dataclass(frozen=True)
class SeededSetting:
    """One setting with one seed, ready to be judged.

    Attributes:
        labels: True labels of the audited samples, shape (n,).
        smoother: Of `tasks.bench.quality.metrics.kernel_smoother`; None where there is no clean test set.
        test_labels: Labels of the clean test set; None if the set has none.
    """

    case: Case
    labels: Ints
    smoother: Floats | None = None
    test_labels: Ints | None = None


Judge = Callable[[Setting, int, tuple[str, ...]], Iterable[Row]]


def list_settings(
    data: Iterable[str], kinds: Iterable[str] = KINDS, rates: tuple[float, ...] = RATES
) -> tuple[Setting, ...]:
    """Return the grid of settings; a swamped class that is already full at a lower rate is not repeated.

    >>> [setting.name for setting in list_settings(["iris"], ["uniform"], (0.05, 0.2))]
    ['iris/uniform/5', 'iris/uniform/20']
    """
    grid: list[Setting] = []
    for name in data:
        known = load_data(name)
        if known.given is not None:
            grid.append(Setting(name, AS_SHIPPED))
            continue
        grid += [Setting(name, kind, r) for kind in kinds for r in distinct_rates(kind, known.labels, rates)]
    return tuple(grid)


def prepare_cell(setting: Setting, seed: int) -> SeededSetting:
    """Return the cell: a clean test set held out, errors planted in the rest.

    A set that ships with errors of its own is audited whole, without a test set.
    """
    data = load_data(setting.data)
    if data.given is not None:
        (features,) = standardise(data.features)
        return SeededSetting(Case(features, data.given, data.classes, seed), data.labels)
    audited, test = split_clean_test(data.labels, seed)
    features, test_features = standardise(data.features[audited], data.features[test])
    labels = data.labels[audited]
    given = plant(setting.noise, features, labels, setting.rate, seed)
    smoother = kernel_smoother(features, test_features)
    return SeededSetting(Case(features, given, data.classes, seed), labels, smoother, data.labels[test])


def pick_methods(wanted: tuple[str, ...] = ()) -> tuple[Method, ...]:
    """Return the methods of the table: all but the networks, which are slow, or those that `wanted` names.

    Args:
        wanted: Names; what is not a method's whole name stands for every method whose name or block holds it.

    >>> [method.name for method in pick_methods(("normalized margin", "kNN"))]
    ['normalized margin', 'kNN disagreement']
    """
    whole = {method.name for method in list_methods()}
    parts = [part for part in wanted if part not in whole]
    return tuple(
        method
        for method in list_methods()
        if (not wanted and method.block != NETWORKS)
        or method.name in wanted
        or any(part in method.name or part in method.block for part in parts)
    )


def list_methods() -> tuple[Method, ...]:
    """Return all methods in the order of the table."""
    return (*list_ours(), *list_peers(), *list_networks())


def judge_cell(setting: Setting, seed: int, names: tuple[str, ...]) -> Iterator[Row]:
    """Yield the result of each named method on one cell, in the order of the table.

    A method that fails is a result too: the row says why in `error` and has no measures.
    """
    cell = prepare_cell(setting, seed)
    wrong = int((cell.labels != cell.case.labels).sum())
    for method in list_methods():
        if method.name not in names:
            continue
        row: Row = setting.about(seed) | {"samples": len(cell.labels), "errors": wrong}
        row |= {"method": method.name, "block": method.block, "package": method.package}
        row["version"] = method.version
        if not method.runs_on(cell.case):
            yield row | {"error": "too large for this method"}
            continue
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # peers' own deprecations, once for each of thousands of runs
                found = method.judge(cell.case)
        except Exception as error:  # noqa: BLE001 (one peer's failure must not end a campaign of hours)
            yield row | {"error": f"{type(error).__name__}: {error}"}
            continue
        row |= {"error": None, "seconds": round(time.perf_counter() - started, 4)}
        given = cell.case.labels
        yield row | measure(cell.labels, given, found, cell.smoother, cell.test_labels)


def run_campaign(
    grid: Iterable[Setting],
    seeds: int,
    names: tuple[str, ...],
    results: ResultFile,
    jobs: int,
    judge: Judge = judge_cell,
) -> Iterator[str]:
    """Compute what `results` lacks, one seed of every setting before the next; yield each cell's name.

    Args:
        seeds: Seeds 0 .. seeds-1.
        results: Where rows are looked up and kept.
        jobs: Processes; each keeps to one thread if there are several.
        judge: What judges the methods on a cell.
    """
    known = {(row["setting"], row["seed"], row["method"]) for row in results.rows}
    todo = []
    for seed in range(seeds):
        for setting in grid:
            missing = tuple(name for name in names if (setting.name, seed, name) not in known)
            if missing and not (setting.noise == AS_SHIPPED and seed > 0):
                todo.append((setting, seed, missing))
    with parallel_config("loky", inner_max_num_threads=1) if jobs > 1 else parallel_config("sequential"):
        cells = Parallel(jobs, return_as="generator_unordered")(
            delayed(_judge_all)(judge, *cell) for cell in todo
        )
        for number, (name, rows) in enumerate(cells, 1):
            for row in rows:
                results.add(row)
            yield f"{number}/{len(todo)} {name}"


def _judge_all(judge: Judge, setting: Setting, seed: int, names: tuple[str, ...]) -> tuple[str, list[Row]]:
    return f"{setting.name} seed {seed}", list(judge(setting, seed, names))
