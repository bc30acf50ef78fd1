"""What a run takes over from the runs of the same data set before it.

Nothing to do where neither source nor parameters changed; otherwise the last run's models to start from, what its queue shows
already, what people have decided, and how the runs have gone so far. All of it is written into the run folder before the first
step, so that a run that is gone on with knows the same as when it began.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.errors import StoreError
from tasks.ingest.source import locate
from tasks.queue.earlier_hashes import FORMER, find_equal_hashes
from tasks.queue.open_samples import DECIDED
from tasks.records import Dataset
from tasks.review.ledger import Ledger
from tasks.review.log import read_log
from tasks.review.tally import tally_run
from tasks.runs.checksums import add_check, are_intact, is_run_intact, read_entry, read_records
from tasks.runs.finished import WRITTEN_AGAIN
from tasks.runs.remote import MANIFEST, PUBLISHED, fetch_folder, list_there, read_there
from tasks.runs.request import REQUEST, Request, parse_asked, read_asked
from tasks.storage import hash_file, read_json, write_json, write_table

_BEFORE = "before.json"
VERSION = "version.json"
# What is known before the first step, and written by none.
LOOKED_BACK = (_BEFORE, DECIDED, VERSION)
# What a later run reads of an earlier one before it has done anything itself: a run in which one is damaged does not count.
_LOOKED_AT = ("summary.json", "steps/ingest.json", "steps/validate.json", "steps/encode.json", VERSION)


def fetch_last_run(request: Request, address: str) -> None:
    """Fetch the last published run of the data set, unless it is here: this machine may be new, or another one swept last.

    Raises:
        LabelsweepError: The store could not be read.
    """
    runs = f"{address.rstrip('/')}/runs"
    found = list_there(runs, f"{request.name}-*/{MANIFEST}")
    for run in sorted((name.split("/")[0] for name in found), reverse=True):
        folder = request.out / "runs" / run
        is_here = (folder / MANIFEST).is_file()
        asked = read_asked(folder) if is_here else parse_asked(read_there(f"{runs}/{run}/{REQUEST}") or b"")
        if asked is None or asked.data_set != request.asked.data_set:
            continue
        if not is_here:
            try:
                fetch_folder(f"{runs}/{run}", folder)
            except StoreError as error:
                if request.force:
                    continue
                fix = f"{error.fix}; --force continues without this run"
                raise StoreError(error.what, where=error.where, fix=fix) from error
            write_json({"address": f"{runs}/{run}"}, folder / PUBLISHED)
        return
    # A corrected version, perhaps, whose rows other runs know under other hashes.
    for name in list_there(runs, f"*/{FORMER}"):
        path = request.out / "runs" / name
        if not path.exists() and (content := read_there(f"{runs}/{name}")) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def list_finished_runs(request: Request) -> list[Path]:
    """Return the finished runs of the data set, oldest first."""
    found = [path.parent for path in (request.out / "runs").glob(f"{request.name}-*/manifest.json")]
    return [
        folder.absolute()
        for folder in sorted(found, key=lambda folder: folder.name)
        if (asked := read_asked(folder)) is not None
        and asked.data_set == request.asked.data_set
        and is_run_intact(folder, *_LOOKED_AT)
    ]


def find_unchanged_run(request: Request) -> Path | None:
    """Return the last run of the data set if it was asked for the same, of the same files."""
    last = next(reversed(list_finished_runs(request)), None)
    if last is None or not request.is_of(last) or not is_run_intact(last):
        return None
    (last / WRITTEN_AGAIN).unlink(missing_ok=True)  # the very files that it swept
    return last


def find_run_of_same_content(request: Request, folder: Path) -> Path | None:
    """Return the last run of the data set if it was asked for the same, of files that say the same.

    Whatever of a row changed is a change: its id, whether its label is verified, what a reviewer is shown, its true label.

    Args:
        folder: The run folder, in which is what the files say now.
    """
    last = next(reversed(list_finished_runs(request)), None)
    asked = read_asked(last) if last else None
    if last is None or asked is None or not is_run_intact(last):
        return None
    is_same_but_for_files = asked.model_copy(update={"source": request.asked.source}) == request.asked
    read = _read_ingested(folder)
    return last if is_same_but_for_files and read and read == _read_ingested(last) else None


def note_written_again(dataset: Dataset, run: Path) -> None:
    """Keep what the source is called now in the folder of a run that swept the same rows: `apply` writes these files.

    Args:
        dataset: What the files say now.
        run: The run folder.
    """
    now = {"uri": dataset.uri, "label_column": dataset.label_column, "parts": _digest_parts(dataset.uri)}
    write_json(now, run / WRITTEN_AGAIN)


def _digest_parts(uri: str) -> list[dict[str, Any]]:
    """Return name, size and digest of each file of a source."""
    return [{"part": part.shown, "bytes": part.size, "digest": part.digest()} for part in locate(uri)]


def _read_ingested(folder: Path) -> dict[str, str]:
    """Return the digest of each file that the ingest step of a run wrote."""
    entry = read_entry(folder / "steps" / "ingest.json")
    return dict(entry["files"]) if entry else {}


def take_over_last_run(request: Request, folder: Path) -> tuple[Path | None, bool]:
    """Write what went before into the run folder.

    Args:
        request: What is asked for; `force` takes over only decisions and the number of the version.

    Returns:
        Folder of the last finished run of the data set, None where there is none; and whether models and queue are made as if
        there were none.
    """
    path = folder / _BEFORE
    kept = read_entry(path)
    if kept and request.force and not kept["anew"]:
        kept = None  # begun without it, and so with models of earlier runs
    if kept is None or not are_intact(folder, {DECIDED: kept["decided"]}, read_records(folder).values()):
        decisions = Ledger(read_log(request.out))
        runs = _drop_damaged(request, list_finished_runs(request))
        pairs = decisions.list_settled() if runs else _add_equal_hashes(decisions.list_settled(), request.out)
        columns = {"content_hash": [pair[0] for pair in sorted(pairs)]}
        columns["label"] = [pair[1] for pair in sorted(pairs)]
        table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        decided = hash_file(write_table(table, folder / DECIDED))
        lines = [*_read_earlier_lines(runs, decisions), *(_describe_run(run, decisions) for run in runs)]
        trend = sorted(lines, key=lambda line: str(line["run_id"]))
        previous = str(runs[-1]) if runs else None
        kept = {"previous": previous, "anew": request.force, "trend": trend, "decided": decided}
        write_json(add_check(kept), path)
    previous = kept["previous"]
    return Path(previous) if previous and Path(previous).is_dir() else None, kept.get("anew", False)


def _add_equal_hashes(pairs: set[tuple[str, str]], out: Path) -> set[tuple[str, str]]:
    """Return decided contents and labels, each also under the hashes that the content has in any run of these results.

    The first sweep of a corrected version has no run before it, but its rows may have been decided on under other columns.
    """
    others = find_equal_hashes(out / "runs")
    return pairs | {(other, label) for content, label in pairs for other in others.get(content, ())}


def _drop_damaged(request: Request, runs: list[Path]) -> list[Path]:
    """Return the runs without damaged ones at the end that were asked for just this: they are made again, as they were.

    With `force`, which is how a damaged run is made again, no run at the end is damaged.
    """
    last = len(runs)
    while (
        last
        and (request.force or read_asked(runs[last - 1]) == request.asked)
        and not is_run_intact(runs[last - 1])
    ):
        last -= 1
    return runs[:last]


def _read_earlier_lines(runs: list[Path], decisions: Ledger) -> list[dict[str, Any]]:
    """Return the lines of runs that are not here, as the first and the last run that are here have them.

    Those before the first were pruned, perhaps; those between were made on other machines.
    """
    kept = [read_entry(run / _BEFORE) or {} for run in (*runs[:1], *runs[-1:])]
    lines = {line["run_id"]: line for one in kept for line in one.get("trend", ())}
    here = {run.name for run in runs}
    return [
        {**line, **_count_judged(runs[0].parent / run_id, decisions)}
        for run_id, line in lines.items()
        if run_id not in here
    ]


def _describe_run(run: Path, decisions: Ledger) -> dict[str, Any]:
    """Return one line of the trend: what a run found, and how right it was where people looked."""
    summary = read_json(run / "summary.json")
    return {
        "run_id": run.name,
        "rows": summary["data"]["rows"],
        "flagged": summary["queue"]["flagged"],
        "noise_rate": summary["queue"]["estimated_noise_rate"],
        **_count_judged(run, decisions),
    }


def _count_judged(run: Path, decisions: Ledger) -> dict[str, Any]:
    """Return how many samples of a run people have judged, and the share of them whose label was wrong."""
    tally = tally_run(run, decisions)
    return {"reviewed": tally.judged, "precision": tally.wrong / tally.judged if tally.judged else None}


def note_version(dataset: Dataset, folder: Path, previous: Path | None) -> None:
    """Write `version.json`: the number of this version of the data set, and a digest of each file of its source.

    Args:
        previous: Folder of the last finished run of the data set.
    """
    before = read_json(previous / VERSION) if previous and (previous / VERSION).exists() else None
    known = {part["part"]: part["digest"] for part in before["parts"]} if before else {}
    parts = _digest_parts(dataset.uri)
    now = {str(part["part"]): part["digest"] for part in parts}
    same = before is not None and before["digest"] == dataset.digest
    entry = {
        "version": 1 if before is None else before["version"] + (not same),
        "digest": dataset.digest,
        "rows": dataset.rows,
        "parts": parts,
        "new_parts": sorted(now.keys() - known.keys()),
        "changed_parts": sorted(name for name in now.keys() & known.keys() if now[name] != known[name]),
        "removed_parts": sorted(known.keys() - now.keys()),
    }
    write_json(entry, folder / VERSION)
