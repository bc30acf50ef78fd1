"""`decisions.sqlite`: every review decision ever made, append-only and shared by all runs.

One row a decision. The table refuses UPDATE and DELETE; an undo is a row that names the row it takes back.
The database runs with a write-ahead log and full synchronisation: when `append` returns, the rows are on the
disk, so a decision that the page called saved survives a killed process. What the rows amount to is computed
from them, in `tasks.review.ledger`.

An *action* is what a reviewer did at once: one key on one sample, or one key on a selection of many. It
carries an identifier chosen by the sender, so that sending it again after a lost answer changes
nothing.
"""

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from tasks.errors import InputError
from tasks.records import VERDICTS

Control = Literal["", "clean", "flip"]

UNDO: Final = "undo"
FILE_NAME: Final = "decisions.sqlite"
MAX_REVIEWER: Final = 80
MAX_COMMENT: Final = 4_000

_VERSION = 1
# Another process may hold the write lock for as long as one synchronised transaction of a large import takes.
_BUSY_MS = 30_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    sample_id       TEXT NOT NULL,
    content_hash    TEXT NOT NULL,
    given_label     TEXT NOT NULL,
    suggested_label TEXT NOT NULL,
    decision        TEXT NOT NULL CHECK (decision IN ('keep', 'relabel', 'drop', 'unsure', 'undo')),
    new_label       TEXT CHECK ((decision = 'relabel') = (new_label IS NOT NULL) OR decision = 'undo'),
    reviewer        TEXT NOT NULL CHECK (reviewer <> ''),
    time            TEXT NOT NULL,
    seconds         REAL CHECK (seconds IS NULL OR seconds >= 0),
    run             TEXT NOT NULL,
    evidence_hash   TEXT NOT NULL,
    comment         TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('first', 'second', 'adjudication')),
    control         TEXT NOT NULL CHECK (control IN ('', 'clean', 'flip')),
    origin          TEXT NOT NULL CHECK (origin IN ('page', 'csv', 'label-studio')),
    action          TEXT NOT NULL,
    undoes          INTEGER UNIQUE REFERENCES decisions (seq)
                    CHECK ((decision = 'undo') = (undoes IS NOT NULL)),
    UNIQUE (action, sample_id, given_label, reviewer)
);
CREATE INDEX IF NOT EXISTS decisions_by_reviewer ON decisions (reviewer, run, seq);
CREATE TRIGGER IF NOT EXISTS decisions_are_never_changed BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are append-only: write a new row'); END;
CREATE TRIGGER IF NOT EXISTS decisions_are_never_deleted BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are append-only: write an undo row'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One row of the log; `seq` and `time` are given by the log when they are left empty.

    >>> kept = Decision(sample_id="a", content_hash="h", given_label="cat", decision="keep", reviewer="Ada")
    >>> kept.label, replace(kept, decision="relabel", new_label="dog").outcome
    ('cat', 'label:dog')
    """

    sample_id: str
    content_hash: str
    given_label: str
    decision: str
    reviewer: str
    suggested_label: str = ""
    new_label: str | None = None
    seconds: float | None = None
    run: str = ""
    evidence_hash: str = ""
    comment: str = ""
    role: str = "first"
    control: str = ""
    origin: str = "page"
    action: str = ""
    undoes: int | None = None
    time: str = ""
    seq: int = 0

    @property
    def label(self) -> str | None:
        """The label that the reviewer holds to be right; None for a dropped or unsure sample."""
        if self.decision == "relabel":
            return self.new_label
        return self.given_label if self.decision == "keep" else None

    @property
    def outcome(self) -> str:
        """What was answered, in one comparable word: `label:cat`, `drop` or `unsure`."""
        return self.decision if self.label is None else f"label:{self.label}"


COLUMNS: Final[tuple[str, ...]] = tuple(field.name for field in fields(Decision))
_WRITTEN: Final = tuple(name for name in COLUMNS if name != "seq")
# Both are made of the field names above, never of a value.
_INSERT = f"INSERT INTO decisions ({', '.join(_WRITTEN)}) VALUES ({', '.join('?' * len(_WRITTEN))})"  # noqa: S608
_STANDING = "decision <> 'undo' AND seq NOT IN (SELECT undoes FROM decisions WHERE undoes IS NOT NULL)"
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM decisions"  # noqa: S608


class DecisionLog:
    """The log on disk; safe to share between threads, and between processes through the file.

    >>> import tempfile
    >>> log = DecisionLog(Path(tempfile.mkdtemp()) / FILE_NAME)
    >>> sample = {"sample_id": "a", "content_hash": "h", "given_label": "cat"}
    >>> row = Decision(decision="keep", reviewer="Ada", run="r", **sample)
    >>> log.append([row], action="one")[0].seq, log.append([row], action="one")[0].seq
    (1, 1)
    >>> [(row.decision, row.undoes) for row in log.undo("Ada", "r", action="two")]
    [('undo', 1)]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = _open(path)

    def append(self, drafts: Sequence[Decision], *, action: str = "") -> list[Decision]:
        """Write `drafts` in one transaction and return them as they are on the disk.

        Args:
            drafts: The rows; `seq` is ignored, an empty `time` becomes now.
            action: Identifier of what the reviewer did; a repeated one writes nothing and returns the rows of
                the first time.

        Raises:
            InputError: A row is not a valid decision.
        """
        action = action or uuid.uuid4().hex
        rows = [_check_draft(draft, action) for draft in drafts]
        with self._open_for_writing() as connection:
            return _select_action(connection, action) or _insert(connection, rows, action)

    def undo(self, reviewer: str, run: str, *, action: str = "") -> list[Decision]:
        """Take back the reviewer's last standing action on the page; return the undo rows, if any.

        Args:
            reviewer: Whose action; those of others stay.
            run: The run that is reviewed; actions in other runs stay.
            action: Identifier of the undo itself; a repeated one writes nothing and returns the rows of the first time.

        Raises:
            InputError: The log cannot be written.
        """
        action = action or uuid.uuid4().hex
        with self._open_for_writing() as connection:
            if known := _select_action(connection, action):
                return known
            last = connection.execute(
                "SELECT action FROM decisions WHERE reviewer = ? AND run = ? AND origin = 'page' AND "  # noqa: S608
                f"{_STANDING} ORDER BY seq DESC LIMIT 1",
                (reviewer, run),
            ).fetchone()
            if last is None:
                return []
            undone = _select(connection, f"WHERE action = ? AND {_STANDING} ORDER BY seq", last)
            given_up: dict[str, Any] = {"decision": UNDO, "time": "", "seconds": None, "comment": ""}
            undos = [_check_draft(replace(row, undoes=row.seq, **given_up), action) for row in undone]
            return _insert(connection, undos, action)

    def merge(self, rows: Sequence[Decision]) -> int:
        """Add the rows of another machine's log that are not here; return how many were.

        A row is known by its action, sample, label and reviewer, whatever its number: merging again adds nothing.

        Args:
            rows: All rows of the other log, oldest first.

        Raises:
            InputError: A row is not a valid decision.
        """
        other = {row.seq: _identify(row) for row in rows}
        with self._open_for_writing() as connection:
            here = {_identify(row): row.seq for row in _select(connection, "ORDER BY seq", ())}
            undone = {seq for (seq,) in connection.execute("SELECT undoes FROM decisions")}
            before = len(here)
            for row in rows:
                undoes = here[other[row.undoes]] if row.undoes is not None else None
                if _identify(row) in here or (undoes is not None and undoes in undone):
                    continue
                added = replace(_check_draft(row, row.action), undoes=undoes)
                here[_identify(row)] = connection.execute(_INSERT, astuple(added)[:-1]).lastrowid or 0
                undone.add(undoes)
            return len(here) - before

    def rows_of(self, action: str) -> list[Decision]:
        """Return the rows of one action, oldest first."""
        with self._open_for_reading():
            return _select_action(self._connection, action)

    def list_since(self, seq: int = 0) -> list[Decision]:
        """Return the rows after `seq`, oldest first.

        Raises:
            InputError: The file is damaged.
        """
        with self._open_for_reading():
            return _select(self._connection, "WHERE seq > ? ORDER BY seq", (seq,))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _open_for_writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock from the first read on, so that what was read still holds when written."""
        with self._open_for_reading():
            if self._connection.in_transaction:  # memory ran out before the last one could be rolled back
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk rolls back by itself
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _open_for_reading(self) -> Iterator[None]:
        """Hold the connection; say in one line what is wrong with the file."""
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                what = f"nothing was written to the decision log ({error})"
                fix = "free some space or wait until it is released, then do the same again"
                raise InputError(what, where=str(self.path), fix=fix) from error
            except sqlite3.IntegrityError as error:
                what = f"nothing was written to the decision log: no valid decision ({error})"
                raise InputError(what, where=str(self.path), fix="correct it and try again") from error
            except sqlite3.DatabaseError as error:
                raise _make_damage_error(self.path, error) from error


def _identify(row: Decision) -> tuple[str, str, str, str]:
    return row.action, row.sample_id, row.given_label, row.reviewer


def log_path(out: Path) -> Path:
    """Return where the log of an output folder is."""
    return out / FILE_NAME


def read_log(out: Path) -> list[Decision]:
    """Return every row of the log under `out`, oldest first; [] where nobody has decided anything yet."""
    if not log_path(out).exists():
        return []
    with closing(DecisionLog(log_path(out))) as log:
        return log.list_since(0)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Only the user who runs the review may read who decided what; SQLite gives its other files the mode of this one.
        path.touch(mode=0o600)
        connection = sqlite3.connect(
            path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise _make_damage_error(path, found)
    except (sqlite3.OperationalError, OSError) as error:
        what = f"cannot be used as the decision log ({error})"
        raise InputError(what, where=str(path), fix="choose another folder with --out") from error
    except sqlite3.DatabaseError as error:
        raise _make_damage_error(path, error) from error
    if version > _VERSION:
        what = f"written by a newer labelsweep (log version {version})"
        raise InputError(what, where=str(path), fix="update labelsweep")
    if mode != "wal":
        what = "this file system has no write-ahead log"
        raise InputError(what, where=str(path), fix="choose a local folder with --out")
    return connection


def _make_damage_error(path: Path, what: object) -> InputError:
    reason = " ".join(str(what).split())
    return InputError(
        f"cannot be used as the decision log: it is damaged ({reason})",
        where=str(path),
        fix="put it back from a backup, or take what can be read out of it with `sqlite3 FILE .recover`",
    )


def _check_draft(draft: Decision, action: str) -> Decision:
    where = f"decision on sample {draft.sample_id!r}"
    reviewer = " ".join(draft.reviewer.split())
    if not reviewer or len(reviewer) > MAX_REVIEWER:
        raise InputError(f"a reviewer needs a name of 1 to {MAX_REVIEWER} characters", where=where)
    if len(draft.comment) > MAX_COMMENT:
        what = f"the comment has {len(draft.comment)} characters, {MAX_COMMENT} are the most"
        raise InputError(what, where=where)
    if draft.decision not in (*VERDICTS, UNDO):
        fix = f"use one of: {', '.join(VERDICTS)}"
        raise InputError(f"unknown decision {draft.decision!r}", where=where, fix=fix)
    if draft.decision == "relabel" and not draft.new_label:
        raise InputError("relabel without a new label", where=where)
    verdict, new_label = draft.decision, draft.new_label if draft.decision in ("relabel", UNDO) else None
    if verdict == "relabel" and new_label == draft.given_label:
        verdict, new_label = "keep", None
    time = draft.time or datetime.now(UTC).isoformat(timespec="milliseconds")
    return replace(draft, decision=verdict, new_label=new_label, reviewer=reviewer, action=action, time=time)


def _select(connection: sqlite3.Connection, clause: str, values: tuple[object, ...]) -> list[Decision]:
    rows = connection.execute(f"{_SELECT} {clause}", values)
    return [Decision(**dict(zip(COLUMNS, row, strict=True))) for row in rows]


def _select_action(connection: sqlite3.Connection, action: str) -> list[Decision]:
    return _select(connection, "WHERE action = ? ORDER BY seq", (action,))


def _insert(connection: sqlite3.Connection, rows: Sequence[Decision], action: str) -> list[Decision]:
    connection.executemany(_INSERT, [astuple(row)[:-1] for row in rows])
    return _select_action(connection, action)
