"""A data set that lives, night after night: each is swept, and each queue shows what is new, changed or newly flagged."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from living_data import NIGHTS, by_command, by_flow

from flows.cli import run
from tasks.review.log import Decision, DecisionLog, log_path


# The flow is the same code below the command: it goes through the nights that differ most.
@pytest.mark.parametrize(
    ("made", "nights"), [(by_command, NIGHTS), (by_flow, ("begin", "add", "everything", "add"))]
)
def test_every_night_shows_what_is_new_or_changed_and_nothing_that_was_decided(
    made, nights, prefect_server, tmp_path
):
    out = tmp_path / "out"
    made(tmp_path / "pets.csv", str(out), out).live(nights)


def test_corrected_version_is_swept_again_round_after_round(prefect_server, tmp_path, capsys):
    out = tmp_path / "out"
    data = by_command(tmp_path / "pets.csv", str(out), out)
    data.begin()
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    asked: set[str] = set()
    for _ in range(3):
        folder = (out / "runs" / "latest").resolve()
        shown = pq.read_table(folder / "queue.parquet").to_pylist()
        earlier = folder / "open.parquet"
        still_open = pq.read_table(earlier)["sample_id"].to_pylist() if earlier.exists() else []
        assert not {row["sample_id"] for row in shown} & asked
        log = DecisionLog(log_path(out))
        todo = shown[:2] or [row for row in _queue_rows(out) if row["sample_id"] in still_open][:2]
        for row in todo:
            keys = {key: row[key] for key in ("sample_id", "content_hash", "given_label", "suggested_label")}
            log.append(
                [Decision(decision="relabel", new_label=row["suggested_label"], reviewer="Ada", **keys)]
            )
            asked.add(row["sample_id"])
        log.close()
        data.apply()
        latest = str(out / "datasets" / "pets" / "latest")
        options = ["--rounds", "1", "--controls", "0", "--feature-map", "raw", "--folds", "3"]
        assert run(["clean", latest, *options, "--out", str(out), "--quiet"]) == 0
    assert len(asked) >= 4


def _queue_rows(out: Path) -> list[dict[str, object]]:
    return [
        row for path in (out / "runs").glob("*-*/queue.parquet") for row in pq.read_table(path).to_pylist()
    ]
