"""What a benchmark has finished, one JSON line for each piece, so that one that was killed resumes where it stopped."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tasks.errors import InputError
from tasks.storage import open_atomically

Row = dict[str, Any]
T = TypeVar("T")


class ResultFile:
    """Rows that are kept in a file, if one is named.

    Args:
        path: The file; None keeps the rows in memory only.
        about: What has to be the same in all parts of a campaign; it stands on the first line.

    Raises:
        InputError: The file holds something else, or the tally of another campaign.
    """

    def __init__(self, path: Path | None = None, about: Mapping[str, Any] | None = None) -> None:
        self.path, self.rows, self.about = path, list[Row](), dict(about or {})
        self._head = [] if about is None else [{"about": self.about}]
        if path is not None and path.exists():
            lines = _read(path)
            if lines[: len(self._head)] != self._head:
                said = lines[0].get("about", "no campaign") if lines else "nothing"
                raise InputError(f"a tally of {said}", where=str(path), fix="name another file")
            self.rows = lines[len(self._head) :]
        self._write()

    def add(self, row: Row) -> None:
        """Keep a row, at once on disk."""
        self.rows.append(row)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(row))

    def forget(self, unwanted: Callable[[Row], bool]) -> None:
        """Drop some rows, so that they are computed again."""
        self.rows = [row for row in self.rows if not unwanted(row)]
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            with open_atomically(self.path) as path:
                path.write_text("".join(map(_line, [*self._head, *self.rows])), encoding="utf-8")


def compute_once(path: Path | None, key: str, make: Callable[[], T]) -> T:
    """Return what a file keeps under a key; make it and keep it where it is missing."""
    tally = ResultFile(path)
    known: dict[str, T] = {row["key"]: row["value"] for row in tally.rows}
    if key not in known:
        known[key] = make()
        tally.add({"key": key, "value": known[key]})
    return known[key]


def _read(path: Path) -> list[Row]:
    """Return the lines of a file; one that was being written when the campaign was killed does not count."""
    *lines, last = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines or filter(None, [last]), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise InputError(
                "no tally of a benchmark", where=f"{path}, line {number}", fix="name another file"
            )
        rows.append(row)
    return rows


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
