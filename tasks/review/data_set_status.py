"""How each data set stands: its last run, how much noise was found night after night, and what waits for people."""

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from tasks.json_objects import read_object
from tasks.queue.earlier_hashes import find_equal_hashes
from tasks.queue.open_samples import OPEN, SINCE
from tasks.review.ledger import Key, Ledger
from tasks.review.log import read_log
from tasks.review.tally import is_settled
from tasks.runs.data_sets import find_newest_runs, find_short_name
from tasks.runs.history import read_past_run
from tasks.runs.request import REQUEST
from tasks.storage import read_parquet

# The files of a run that a line is read from where the queue itself is not on this machine.
DESCRIBING = ("config.yaml", "summary.json", "before.json", "steps/ingest.json", SINCE, REQUEST)
# Nights that a trend shows, as the report's table does.
TREND = 14
_BARS = "▁▂▃▄▅▆▇█"


class DataSetStatus(BaseModel):
    """One data set.

    Attributes:
        key: What tells it from another one of this name.
        noise: Estimated share of wrong labels; None where nothing can be said.
        trend: The noise of the last runs, oldest first.
    """

    name: str
    key: str
    run_id: str
    date: datetime
    rows: int | None
    noise: float | None
    waiting: int
    trend: list[float | None]


def read_standings(out: Path) -> list[DataSetStatus]:
    """Return how each data set under `out` stands, by name."""
    settled, others = Ledger(read_log(out)).list_settled(), find_equal_hashes(out / "runs")
    found = [
        _summarize_run(out / "runs" / run, key, settled, others) for key, run in find_newest_runs(out).items()
    ]
    return sorted(found, key=lambda one: (one.name, one.key))


def _summarize_run(
    folder: Path, key: str, settled: set[tuple[str, str]], others: Mapping[str, Collection[str]]
) -> DataSetStatus:
    summary, run = read_object(folder / "summary.json"), read_past_run(folder)
    noise = summary.get("queue", {}).get("estimated_noise_rate")
    earlier = [line.get("noise_rate") for line in read_object(folder / "before.json").get("trend", [])]
    return DataSetStatus(
        name=find_short_name(folder.name),
        key=key,
        run_id=folder.name,
        date=run.date,
        rows=summary.get("data", {}).get("rows"),
        noise=noise,
        waiting=_count_waiting(folder, settled, others, summary.get("queue", {}).get("queued") or 0),
        trend=[*earlier, noise][-TREND:],
    )


def _count_waiting(
    folder: Path, settled: set[tuple[str, str]], others: Mapping[str, Collection[str]], queued: int
) -> int:
    """Return how many samples wait: of the queue and of earlier ones, without what people have decided since."""
    files = [path for name in ("queue.parquet", OPEN) if (path := folder / name).exists()]
    if not files:
        return queued + int(read_object(folder / SINCE).get("open", 0))
    return sum(count_unsettled(path, settled, others) for path in files)


def count_unsettled(path: Path, settled: set[tuple[str, str]], others: Mapping[str, Collection[str]]) -> int:
    """Return how many samples of a queue's file are not among the settled pairs of content hash and given label.

    Args:
        others: Hashes of the same content in other runs, by hash.
    """
    table = read_parquet(path, columns=["content_hash", "given_label"])
    pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return sum(not is_settled(Key(*pair), settled, others) for pair in pairs)


def draw_sparkline(values: list[float | None]) -> str:
    """Return a line of bars, the largest value the highest; a dot for a missing value.

    >>> draw_sparkline([0.0, 0.05, None, 0.1])
    '▁▅·█'
    """
    most = max((value for value in values if value), default=0.0) or 1.0
    return "".join(
        "·" if value is None else _BARS[round(value / most * (len(_BARS) - 1))] for value in values
    )
