"""Decisions made elsewhere: checked against the run, all of them, before the first one is written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tasks.errors import InputError, list_names
from tasks.queue.earlier_hashes import find_equal_hashes
from tasks.queue.rows import find_rows
from tasks.records import VERDICTS
from tasks.review.ledger import Key, Ledger, make_key
from tasks.review.log import Decision, DecisionLog, log_path
from tasks.runs.finished import read_dataset
from tasks.show.text import pluralise

# More wrong rows than these are counted, not named: the line stays readable, and the same mistake is mostly
# behind all.
_NAMED: Final = 5

Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One decision as it came; `where` names its place for the person who has to correct it."""

    where: str
    sample_id: str
    verdict: str
    reviewer: str
    new_label: str = ""
    content_hash: str = ""
    given_label: str = ""
    comment: str = ""
    seconds: float | None = None
    time: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: rows written, answers that already stood, rows without an answer, and ids that contradict others.

    Rows of one content and label are one sample, on which the last answer of a reviewer counts.
    """

    written: int
    known: int
    empty: int
    contradicted: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        parts = [f"{pluralise(self.written, 'decision')} imported"]
        parts += [f"{self.known:,} known before"] if self.known else []
        parts += [f"{pluralise(self.empty, 'row')} without a decision"] if self.empty else []
        if self.contradicted:
            equal = f"rows of equal content and label are decided differently ({list_names(list(self.contradicted))})"
            parts.append(f"{equal}: the last one counts")
        return ", ".join(parts)


def import_decisions(
    run: Path, out: Path, rows: Sequence[Incoming], *, origin: str, source: str, empty: int = 0
) -> Imported:
    """Check `rows` against a run and write them in one transaction, without those that already stand.

    Args:
        run: The run folder that the samples come from.
        out: The output folder, where the log is.
        rows: The decisions; of several by one reviewer on one sample, the last one counts.
        origin: `csv` or `label-studio`.
        empty: Rows of the file that carry no decision.

    Raises:
        InputError: At least one row is wrong; nothing was written.
    """
    samples = find_known(run, {name for row in rows for name in (row.sample_id, row.sample_id.strip())})
    classes = read_dataset(run).offered
    checked = [_check(row, samples, classes) for row in rows]
    refuse_import([problem for problem in checked if isinstance(problem, str)], source)
    drafts = {
        (d.sample_id, d.reviewer): replace(d, run=run.name, origin=origin)
        for d in checked
        if isinstance(d, Decision)
    }
    with closing(DecisionLog(log_path(out))) as log:
        ledger = Ledger(log.list_since())
        new = [draft for draft in drafts.values() if not _is_repeated(draft, ledger)]
        written = log.append(new) if new else []
    return Imported(len(written), len(drafts) - len(written), empty, _find_contradicted(drafts.values()))


def _find_contradicted(drafts: Iterable[Decision]) -> tuple[str, ...]:
    """Return the ids of rows whose content and label are those of another row that the same reviewer decides differently."""
    rows: dict[tuple[Key, str], list[Decision]] = defaultdict(list)
    for draft in drafts:
        rows[make_key(draft), draft.reviewer].append(draft)
    several = [some for some in rows.values() if len({draft.outcome for draft in some}) > 1]
    return tuple(draft.sample_id for some in several for draft in some)


def refuse_import(problems: Sequence[str], source: str) -> None:
    """Raise one error that names the wrong rows, if there are any.

    Args:
        problems: A line for each wrong row: where it is, and what is wrong with it.

    Raises:
        InputError: There is a wrong row.
    """
    if problems:
        more = f" (and {len(problems) - _NAMED} more)" if len(problems) > _NAMED else ""
        count = "1 row is" if len(problems) == 1 else f"{len(problems)} rows are"
        what = f"{count} wrong, nothing was imported: {'; '.join(problems[:_NAMED])}{more}"
        fix = "correct the file and try again; `--run` names the run whose queue it was"
        raise InputError(what, where=source, fix=fix)


def find_known(run: Path, wanted: Iterable[str]) -> dict[str, Sample]:
    """Return hash, label and suggestion of the wanted samples: from the queue, or from the whole data set.

    `hashes` are those that the content has in any run: where a column is added, the queue of the run before has another one.
    """
    ids, names = set(wanted), ["sample_id", "content_hash", "given_label", "suggested_label"]
    queue = find_rows(run / "queue.parquet", "sample_id", ids, names)
    found: dict[str, Sample] = {row["sample_id"]: row for row in queue.to_pylist()}
    if len(found) < len(ids):
        rows = find_rows(run / "dataset.parquet", "sample_id", ids, ["sample_id", "content_hash", "label"])
        rest = rows.rename_columns(names[:3]).to_pylist()
        found = {row["sample_id"]: {**row, "suggested_label": ""} for row in rest} | found
    others = find_equal_hashes(run.parent)
    return {
        name: {**row, "hashes": {row["content_hash"], *others.get(row["content_hash"], ())}}
        for name, row in found.items()
    }


def _check(row: Incoming, samples: Mapping[str, Sample], classes: Sequence[str]) -> Decision | str:
    """Return a decision, or what is wrong with the row."""
    sample = samples.get(row.sample_id) or samples.get(row.sample_id.strip())
    if sample is None:
        return f"{row.where}: no sample {row.sample_id!r} in this run"
    verdict, given = row.verdict or "relabel", str(sample["given_label"])
    if problem := _find_problem(row, verdict, sample, classes):
        return f"{row.where}: {problem}"
    return Decision(
        sample_id=str(sample["sample_id"]),
        content_hash=sample["content_hash"],
        given_label=given,
        suggested_label=str(sample["suggested_label"]),
        decision="keep" if row.new_label == given else verdict,
        new_label=row.new_label if verdict == "relabel" and row.new_label != given else None,
        reviewer=" ".join(row.reviewer.split()),  # as the log keeps it
        comment=row.comment,
        seconds=row.seconds,
        time=made.isoformat(timespec="milliseconds") if (made := parse_time(row.time)) else "",
    )


def parse_time(text: str) -> datetime | None:
    """Return a time in UTC, which is that of one without a zone; None for anything else, as spreadsheets make of times.

    >>> parse_time("2026-05-01T12:00:00+02:00") == parse_time("2026-05-01 10:00"), parse_time("5/1/2026 10:00")
    (True, None)
    """
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _find_problem(row: Incoming, verdict: str, sample: Sample, classes: Sequence[str]) -> str:
    """Return the first thing that is wrong with a row, in the order in which a person would look."""
    given = str(sample["given_label"])
    confirms = verdict == "keep" and row.new_label == given
    checks = [
        (verdict not in VERDICTS, f"no decision {row.verdict!r}, use {', '.join(VERDICTS)}"),
        (
            row.content_hash not in ("", *sample["hashes"]),
            f"the content of {row.sample_id!r} is not the one that was decided on",
        ),
        (
            row.given_label not in ("", given),
            f"{row.sample_id!r} is labeled {given!r} in this run, not {row.given_label!r}",
        ),
        (verdict == "relabel" and not row.new_label, "relabel needs a new_label"),
        (
            verdict == "relabel" and row.new_label not in classes,
            f"no class {row.new_label!r} in this data set, it has {list_names(classes)}",
        ),
        (
            verdict != "relabel" and bool(row.new_label) and not confirms,
            f"{verdict} and a new_label contradict each other",
        ),
    ]
    return next((message for wrong, message in checks if wrong), "")


def _is_repeated(draft: Decision, ledger: Ledger) -> bool:
    """Whether this reviewer's present answer is the same one."""
    present = ledger.find_standing(make_key(draft)).get(draft.reviewer)
    return present is not None and present.outcome == draft.outcome
