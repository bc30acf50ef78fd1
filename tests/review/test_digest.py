"""The weekly digest says of each data set what was found, what was decided, and by whom."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.review.digest import format_digest, make_digest
from tasks.review.log import Decision, DecisionLog, log_path

SINCE = datetime(2026, 11, 23, tzinfo=UTC)


def _night(out: Path, day: int, source: str, queued: int, noise: float | None) -> str:
    run = f"{Path(source).stem}-202611{day:02d}-020000-beef"
    folder = out / "runs" / run
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"source: {source}\n")
    (folder / "manifest.json").write_text("{}")
    queue = {"queued": queued, "estimated_noise_rate": noise}
    (folder / "summary.json").write_text(json.dumps({"queue": queue}))
    return run


def test_digest_counts_the_week_by_data_set_and_reviewer(tmp_path: Path):
    _night(tmp_path, 20, "/data/pets.csv", 40, 0.09)
    pets = _night(tmp_path, 24, "/data/pets.csv", 7, 0.08)
    _night(tmp_path, 27, "/data/pets.csv", 2, 0.06)
    _night(tmp_path, 25, "/data/toys.csv", 1, None)
    asked = {"data_set": "birds", "parameters": "p", "source": "s", "version": "0"}
    for day in (24, 25):  # dated files of one data set
        night = _night(tmp_path, day, f"/data/birds-202611{day}.csv", 1, 0.1)
        run = (tmp_path / "runs" / night).rename(tmp_path / "runs" / f"birds-202611{day}-030000-beef")
        (run / "request.json").write_text(json.dumps(asked))
    log = DecisionLog(log_path(tmp_path))
    common = {"content_hash": "h", "given_label": "cat", "decision": "keep", "run": pets}
    times = {"time": (SINCE + timedelta(days=1)).isoformat(timespec="milliseconds")}
    for sample, reviewer, more in (
        ("a", "Ada", times),
        ("b", "Ada", times),
        ("c", "Bob", times),
        ("d", "Bob", times | {"control": "clean"}),
        ("e", "Bob", {"time": "2026-11-01T00:00:00.000+00:00"}),
        ("f", "Bob", {"time": "24.11.2026"}),
    ):
        key = common | {"content_hash": sample}
        log.append([Decision(sample_id=sample, reviewer=reviewer, **key, **more)], action=sample)
    log.append([Decision(sample_id="a", reviewer="Ada", **common | {"content_hash": "a"}, **times)])
    log.close()
    assert format_digest(make_digest(tmp_path, SINCE)).splitlines() == [
        "birds: 2 new flags in 2 sweeps, 0 decided, noise 10.0%",
        "pets.csv: 9 new flags in 2 sweeps, 3 decided (Ada 2, Bob 1), noise 8.0% → 6.0%",
        "toys.csv: 1 new flag in 1 sweep, 0 decided, noise unknown",
    ]
