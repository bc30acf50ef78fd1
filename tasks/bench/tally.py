"""A campaign: cases that are measured, and a file of JSON lines that keeps their rows, so that one that was killed resumes."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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

    def add(self, *rows: Row) -> None:
        """Keep rows, at once on disk."""
        self.rows += rows
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, rows)))

    def forget(self, unwanted: Callable[[Row], bool]) -> None:
        """Drop some rows, so that they are computed again."""
        self.rows = [row for row in self.rows if not unwanted(row)]
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            with open_atomically(self.path) as path:
                path.write_text("".join(map(_line, [*self._head, *self.rows])), encoding="utf-8")


def run_campaign(
    cases: Mapping[str, T],
    measure: Callable[[T, tuple[str, ...]], Iterable[Row]],
    results: ResultFile,
    *,
    methods: Sequence[str] = (),
    jobs: int = 1,
) -> list[Row]:
    """Measure what the tally lacks, and return the rows of all cases; say each case that was measured.

    Args:
        cases: What is measured, by the name that its rows have as `case`.
        measure: From a case and the methods that it lacks to its rows, all of which are kept together.
        methods: What each case needs a row of, by its `method`; none: a case is known where it has any row.
        jobs: Processes; each keeps to one thread if there are several.

    >>> run_campaign({"two": 2}, lambda n, _: [{"square": n * n}], ResultFile())
    [{'case': 'two', 'square': 4}]
    """
    from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]  # noqa: PLC0415

    known = defaultdict[str, set[str]](set)
    for row in results.rows:
        known[row.get("case", "")].add(row.get("method", ""))
    lacking = {name: tuple(method for method in methods if method not in known[name]) for name in cases}
    todo = [name for name in cases if lacking[name] or not known[name]]
    with parallel_config("loky", inner_max_num_threads=1) if jobs > 1 else parallel_config("sequential"):
        found = Parallel(jobs, return_as="generator_unordered")(
            delayed(_measure_case)(measure, name, cases[name], lacking[name]) for name in todo
        )
        for number, (name, rows) in enumerate(found, 1):
            results.add(*rows)
            sys.stderr.write(f"{number}/{len(todo)} {name}\n")
    of_cases = [row for row in results.rows if row.get("case") in cases]
    return [row for row in of_cases if not methods or row["method"] in methods]


def _measure_case(
    measure: Callable[[T, tuple[str, ...]], Iterable[Row]], name: str, case: T, methods: tuple[str, ...]
) -> tuple[str, list[Row]]:
    return name, [{"case": name, **row} for row in measure(case, methods)]


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
