"""The settings of the quality benchmark, and how the methods are judged on a cell: one setting with one seed."""

import hashlib
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from tasks.bench.datasets import Floats, Ints, load_data, split_clean_test, standardise
from tasks.bench.quality.case import Case, Method
from tasks.bench.quality.metrics import kernel_smoother, measure
from tasks.bench.quality.noise import KINDS, distinct_rates, plant
from tasks.bench.quality.ours import NETWORKS, list_ours
from tasks.bench.quality.peers import list_peers
from tasks.bench.tally import Row

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
        return f"{self.data}/{self.noise}" + ("" if self.noise == AS_SHIPPED else f"/{100 * self.rate:.0f}")

    @property
    def half(self) -> str:
        """The half that this setting belongs to: scores are developed on one and reported on the other.

        A hash decides for each data set and kind of error, and the rates alternate from there (2 and 20 %
        against 5 and 35 %), so that both halves hold every data set with every kind of error.
        """
        if self.noise == AS_SHIPPED:
            return "develop"
        start = hashlib.sha256(f"{self.data}/{self.noise}".encode()).digest()[0]
        return "develop" if (start + round(100 * self.rate)) % 2 == 0 else "final"

    def describe(self, seed: int) -> Row:
        """Return what a row of results says of its cell."""
        return {"setting": self.name, **asdict(self), "half": self.half, "seed": seed}


@dataclass(frozen=True)
class Cell:
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


def list_settings(
    data: Iterable[str], kinds: Iterable[str] = KINDS, rates: Sequence[float] = RATES
) -> list[Setting]:
    """Return the grid of settings; a swamped class that is already full at a lower rate is not repeated.

    >>> [setting.name for setting in list_settings(["iris"], ["uniform"], (0.05, 0.2))]
    ['iris/uniform/5', 'iris/uniform/20']
    """
    grid: list[Setting] = []
    for known in map(load_data, data):
        if known.given is not None:
            grid.append(Setting(known.name, AS_SHIPPED))
            continue
        for kind in kinds:
            grid += [Setting(known.name, kind, rate) for rate in distinct_rates(kind, known.labels, rates)]
    return grid


def prepare_cell(setting: Setting, seed: int) -> Cell:
    """Return the cell: a clean test set held out, errors planted in the rest.

    A set that ships with errors of its own is audited whole, without a test set.
    """
    data = load_data(setting.data)
    if data.given is not None:
        (features,) = standardise(data.features)
        return Cell(Case(features, data.given, data.classes, seed), data.labels)
    audited, test = split_clean_test(data.labels, seed)
    features, test_features = standardise(data.features[audited], data.features[test])
    labels = data.labels[audited]
    given = plant(setting.noise, features, labels, setting.rate, seed)
    smoother = kernel_smoother(features, test_features)
    return Cell(Case(features, given, data.classes, seed), labels, smoother, data.labels[test])


def list_methods() -> list[Method]:
    """Return all methods in the order of the table: ours, peers, networks."""
    return sorted(
        [*list_ours(), *list_peers()], key=lambda method: (method.block == NETWORKS, method.block == "peers")
    )


def pick_methods(wanted: Sequence[str] = ()) -> list[str]:
    """Return the names of methods of the table: all but the networks, which are slow, or those that `wanted` names.

    Args:
        wanted: Names; what is not a method's whole name stands for every method whose name or block holds it.

    >>> pick_methods(("normalized margin", "kNN"))
    ['normalized margin', 'kNN disagreement']
    """
    known = {method.name: method.block for method in list_methods()}
    if not wanted:
        return [name for name, block in known.items() if block != NETWORKS]
    parts = [part for part in wanted if part not in known]
    return [
        name
        for name, block in known.items()
        if name in wanted or any(part in name or part in block for part in parts)
    ]


def judge_cell(setting: Setting, seed: int, names: Sequence[str]) -> Iterator[Row]:
    """Yield the result of each named method on one cell, in the order of the table.

    A method that fails is a result too: the row says why in `error` and has no measures.
    """
    cell = prepare_cell(setting, seed)
    given = cell.case.labels
    counts = {"samples": len(given), "errors": int((cell.labels != given).sum())}
    for method in (method for method in list_methods() if method.name in names):
        row = setting.describe(seed) | counts | {"method": method.name, "block": method.block}
        row |= {"package": method.package, "error": None}
        if not method.runs_on(cell.case):
            yield row | {"error": "too large for this method"}
            continue
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a process of its own shows the libraries' warnings again
                found = method.judge(cell.case)
        except Exception as error:  # noqa: BLE001 (one peer's failure must not end a campaign of hours)
            yield row | {"error": f"{type(error).__name__}: {error}"}
            continue
        row["seconds"] = round(time.perf_counter() - started, 4)
        yield row | measure(cell.labels, given, found, cell.smoother, cell.test_labels)
