"""A campaign: cases that are measured, and a file of JSON lines that keeps their rows, so that one that was killed resumes."""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from tasks.errors import InputError
from tasks.storage import write_text

Row = dict[str, Any]
T = TypeVar("T")


def run_campaign(
    cases: Mapping[str, T],
    measure: Callable[[T, tuple[str, ...]], Iterable[Row]],
    kept: Path | None = None,
    *,
    methods: Sequence[str] = (),
    jobs: int = 1,
    seconds: float = float("inf"),
) -> list[Row]:
    """Measure what the file lacks, and return the rows of all cases; say each case that was measured.

    A case is known by its name. So the name says all that its rows depend on; to measure a case again, delete its lines.

    Args:
        cases: What is measured, by the name that its rows have as `case`.
        measure: From a case and the methods that it lacks to its rows, all of which are kept together.
        kept: File that keeps the rows; None keeps them in memory only.
        methods: What each case needs a row of, by its `method`; none: a case is known where it has any row.
        jobs: Processes; each keeps to one thread if there are several.
        seconds: No case begins after these.

    Raises:
        InputError: The file holds something else.

    >>> run_campaign({"two": 2}, lambda n, _: [{"square": n * n}])
    [{'case': 'two', 'square': 4}]
    """
    from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]  # noqa: PLC0415

    rows, known = read_rows(kept), defaultdict[str, set[str]](set)
    for row in rows:
        known[row.get("case", "")].add(row.get("method", ""))
    lacking = {name: tuple(method for method in methods if method not in known[name]) for name in cases}
    todo = [name for name in cases if lacking[name] or not known[name]]
    deadline = time.monotonic() + seconds
    with parallel_config("loky", inner_max_num_threads=1) if jobs > 1 else parallel_config("sequential"):
        found = Parallel(jobs, return_as="generator_unordered")(
            delayed(_measure_case)(measure, name, cases[name], lacking[name])
            for name in takewhile(lambda _: time.monotonic() < deadline, todo)
        )
        for number, new in enumerate(found, 1):
            rows += new
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                with kept.open("a", encoding="utf-8") as file:
                    file.writelines(map(_make_line, new))
            sys.stderr.write(f"{number}/{len(todo)} {new[0]['case'] if new else ''}\n")
    of_cases = [row for row in rows if row.get("case") in cases]
    return [row for row in of_cases if not methods or row["method"] in methods]


def _measure_case(
    measure: Callable[[T, tuple[str, ...]], Iterable[Row]], name: str, case: T, methods: tuple[str, ...]
) -> list[Row]:
    return [{"case": name, **row} for row in measure(case, methods)]


def read_rows(path: Path | None) -> list[Row]:
    """Return the rows of a file, without a line that was being written when the campaign was killed; none without a file."""
    if path is None or not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines[1:] and not lines[-1].endswith("\n"):
        lines.pop()
    try:
        rows = [dict(json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError("no tally of a benchmark", where=str(path), fix="name another file") from error
    write_text("".join(map(_make_line, rows)), path)
    return rows


def _make_line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
