"""The contract of a data set: what its last run was like, kept as a suite of Great Expectations, and what drifts from it.

Each run writes `validation/contract.json` about the rows that it read, in the user's own names of columns. Rows that are set
aside because they drifted are not part of it. Those that are set aside for another reason are: the next run compares all of its
rows.

| kind    | what the next run is held to                                                          | sets rows aside |
|---------|---------------------------------------------------------------------------------------|-----------------|
| columns | the same columns                                                                      | no              |
| types   | each column holds numbers, truths, texts or times as before                            | no              |
| classes | no new class                                                                          | yes             |
| shares  | shares of the classes within half the tolerance, in all                                | no              |
| missing | no column misses more values than before and half the tolerance                        | yes             |
| ranges  | numbers within the range so far, wider by the tolerance on each side                   | yes             |
| rows    | as many rows as before, within the tolerance                                           | no              |

What drifts is a finding. `--drift` says what follows: `warn` tells of it, `aside` sets rows aside where a finding speaks of
rows (and tells of it elsewhere), `stop` ends the run, `off` does not look. `stop,ranges=warn` decides for one kind.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.ingest.columns.types import is_numeric
from tasks.json_objects import read_object
from tasks.options import DRIFT_KINDS, parse_drift
from tasks.records import Dataset
from tasks.storage import write_json
from tasks.validate.checks import Check
from tasks.validate.findings import Finding

CONTRACT = "contract.json"
_KIND = "labelsweep_drift"
_TYPES = {
    "columns": "expect_table_columns_to_match_set",
    "types": "expect_column_values_to_be_of_type",
    "classes": "expect_column_values_to_be_in_set",
    "shares": "expect_column_kl_divergence_to_be_less_than",
    "missing": "expect_column_values_to_not_be_null",
    "ranges": "expect_column_values_to_be_between",
    "rows": "expect_table_row_count_to_be_between",
}
_OF_ROWS = ("classes", "missing", "ranges")

Entry = dict[str, Any]


def name_user_columns(dataset: Dataset) -> dict[str, str]:
    """Return the user's columns by the user's own names, each with the name that it has in the data set."""
    renamed = dataset.own_names
    return {name: name for name in dataset.display_columns if name not in renamed.values()} | renamed


def list_families(dataset: Dataset) -> dict[str, str]:
    """Return what each of the user's columns holds."""
    schema = pq.read_schema(dataset.path)
    return {
        name: name_family(schema.field(stored).type) for name, stored in name_user_columns(dataset).items()
    }


def write_contract(dataset: Dataset, classes: Mapping[str, int], final: Path) -> Path:
    """Write what the next run is held to: a suite as Great Expectations writes it, bounds without any tolerance.

    Args:
        dataset: Its file may lack rows that drifted; `rows` counts those that were read.
        classes: How many of the file's rows have each class.
    """
    suite = {
        "name": f"{dataset.name} so far",
        "id": None,
        "expectations": list(_list_entries(dataset, classes)),
    }
    return write_json(suite | {"meta": {}, "notes": None}, final)


def _list_entries(dataset: Dataset, classes: Mapping[str, int]) -> Iterable[Entry]:
    names, kinds = name_user_columns(dataset), list_families(dataset)
    file = pq.ParquetFile(dataset.path)
    total = file.metadata.num_rows
    label = next((name for name, stored in names.items() if stored == "label"), "label")
    yield _make_entry("columns", column_set=sorted(names), exact_match=True)
    yield _make_entry("rows", min_value=dataset.rows, max_value=dataset.rows)
    yield _make_entry("classes", column=label, value_set=sorted(classes))
    labeled = max(sum(classes.values()), 1)
    shares = {"values": list(classes), "weights": [count / labeled for count in classes.values()]}
    yield _make_entry("shares", column=label, partition_object=shares, threshold=0.0)
    statistics = _read_statistics(file)
    for name, stored in sorted(names.items()):
        yield _make_entry("types", column=name, type_=kinds[name])
        missing, low, high = statistics.get(stored, (None, None, None))
        if missing is not None:
            yield _make_entry("missing", column=name, mostly=1 - missing / max(total, 1))
        if kinds[name] == "number" and low is not None and math.isfinite(low) and math.isfinite(high):
            yield _make_entry("ranges", column=name, min_value=float(low), max_value=float(high))


def _make_entry(kind: str, **kwargs: object) -> Entry:
    return {"type": _TYPES[kind], "kwargs": kwargs, "meta": {_KIND: kind}, "severity": "warning"}


def name_family(kind: pa.DataType) -> str:
    """Return what a type holds: a number whatever its width, truth, text, time, or the type's own name.

    >>> name_family(pa.int8()), name_family(pa.float64()), name_family(pa.dictionary(pa.int8(), pa.string()))
    ('number', 'number', 'text')
    """
    if pa.types.is_dictionary(kind):
        return name_family(kind.value_type)
    if pa.types.is_boolean(kind):
        return "truth"
    if is_numeric(kind):
        return "number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "time" if pa.types.is_temporal(kind) else str(kind)


def _read_statistics(file: pq.ParquetFile) -> dict[str, tuple[int | None, Any, Any]]:
    """Return for each flat column how many values are missing, the least and the largest, as the file's own footer says."""
    found: dict[str, tuple[int | None, Any, Any]] = {}
    for group in (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)):
        for column in (group.column(index) for index in range(group.num_columns)):
            said = column.statistics
            if said is None:
                continue
            missing, low, high = found.get(column.path_in_schema, (0, None, None))
            more = said.null_count if said.has_null_count else None
            missing = None if missing is None or more is None else missing + more
            if said.has_min_max and not isinstance(
                said.min, bytes
            ):  # half floats, which pyarrow does not decode
                low = said.min if low is None else min(low, said.min)
                high = said.max if high is None else max(high, said.max)
            found[column.path_in_schema] = (missing, low, high)
    return found


class Contract:
    """What the last run was like, and what follows where this one is not.

    Args:
        previous: Folder of the last run; None where there is none.
        drift: What follows, as `--drift` says it.
        tolerance: How much may change.
    """

    def __init__(self, previous: Path | None, drift: str, tolerance: float) -> None:
        suite = read_object(previous / "validation" / CONTRACT) if previous else {}
        self._effects, self._tolerance = parse_drift(drift), tolerance
        self._entries: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in DRIFT_KINDS}
        for entry in suite.get("expectations", []):
            if (kind := entry.get("meta", {}).get(_KIND)) in self._entries and self._effects[kind] != "off":
                self._entries[kind].append(entry["kwargs"])

    @property
    def key(self) -> str:
        """What decides the findings, as text."""
        return json.dumps([self._effects, self._tolerance, self._entries], sort_keys=True)

    def list_checks(self, dataset: Dataset) -> list[Check]:
        """Return what Great Expectations checks of each row; columns that are gone, or of another type, are no matter of it."""
        now = list_families(dataset)
        slack = self._tolerance / 2
        new = "the class was not there in the last run"
        found = [self._check("classes", kwargs, fails=new) for kwargs in self._entries["classes"]]
        for kwargs in self._entries["missing"]:
            mostly = max(0.0, kwargs["mostly"] - slack)
            fails = f"{kwargs['column']} is missing more often than in the last run"
            if mostly > 0:
                found.append(self._check("missing", {**kwargs, "mostly": mostly}, fails=fails))
        for kwargs in (one for one in self._entries["ranges"] if now.get(one["column"]) == "number"):
            low, high = kwargs["min_value"], kwargs["max_value"]
            wider = self._tolerance * ((high - low) or abs(low))  # a constant has no range
            bounds = {"min_value": low - wider, "max_value": high + wider}
            fails = f"{kwargs['column']} is far from where it was in the last run ({low:g} to {high:g})"
            found.append(self._check("ranges", {**kwargs, **bounds}, fails=fails))
        return [check for check in found if check.columns[0] in now]

    def list_findings(self, dataset: Dataset, labels: NDArray[np.int32]) -> list[Finding]:
        """Return how the table as a whole differs from the last one.

        Args:
            labels: Class of each row, negative where it has none  # (rows,)
        """
        now = list_families(dataset)
        found = []
        for kwargs in self._entries["columns"]:
            before = set(kwargs["column_set"])
            said = [f"'{name}' is new ({now[name]})" for name in sorted(now.keys() - before)]
            said += [f"'{name}' is gone" for name in sorted(before - now.keys())]
            found.append(self._make_finding("columns", kwargs, said))
        for kwargs in self._entries["types"]:
            name, was = kwargs["column"], kwargs["type_"]
            said = [f"'{name}' was {was}, is {now[name]}"] if now.get(name, was) != was else []
            found.append(self._make_finding("types", kwargs, said))
        found += [
            self._make_finding("shares", kwargs, self._find_moved_shares(dataset, labels, kwargs))
            for kwargs in self._entries["shares"]
        ]
        for kwargs in self._entries["rows"]:
            before = kwargs["min_value"]
            low, high = before * (1 - self._tolerance), before * (1 + self._tolerance)
            said = [] if low <= dataset.rows <= high else [f"{before:,} rows have become {dataset.rows:,}"]
            bounds = {"min_value": int(low), "max_value": int(high)}
            found.append(self._make_finding("rows", bounds, said))
        return found

    def _find_moved_shares(
        self, dataset: Dataset, labels: NDArray[np.int32], kwargs: Mapping[str, Any]
    ) -> list[str]:
        """Return the share of each class that moved, where all together moved by more than half the tolerance."""
        counts = np.bincount(labels[labels >= 0], minlength=len(dataset.classes))
        now = dict(zip(dataset.classes, (counts / max(counts.sum(), 1)).tolist(), strict=True))
        partition = kwargs["partition_object"]
        before = dict(zip(partition["values"], partition["weights"], strict=True))
        moved = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in {**before, **now}}
        if sum(map(abs, moved.values())) / 2 <= self._tolerance / 2:
            return []
        most = sorted(moved, key=lambda name: -abs(moved[name]))[:3]
        return [f"class '{name}' {before.get(name, 0.0):.1%} → {now.get(name, 0.0):.1%}" for name in most]

    def _check(self, kind: str, kwargs: Mapping[str, Any], fails: str = "") -> Check:
        effect = self._effects[kind]
        critical = effect == "stop" or (effect == "aside" and kind in _OF_ROWS)
        column = kwargs.get("column")
        return Check(
            key=f"{kind} of the last run" + (f", {column}" if column else ""),
            kind=_TYPES[kind],
            kwargs=kwargs,
            columns=(column,) if column else (),
            fails=fails,
            severity="critical" if critical else "warning",
            drift=kind,
            stops=effect == "stop",
        )

    def _make_finding(self, kind: str, kwargs: Mapping[str, Any], said: Sequence[str]) -> Finding:
        check = self._check(kind, kwargs)
        check.fails = ", ".join(said)
        return Finding(check, holds=not said, observed=check.fails or None)


def describe_drift(findings: Sequence[Finding]) -> list[str]:
    """Return what a person is told of each finding that drifted."""
    lines = []
    for finding in (one for one in findings if one.check.drift and not one.success):
        rows = f" ({finding.unexpected:,} rows)" if finding.unexpected else ""
        values = ""
        if finding.check.drift == "classes":
            names = dict.fromkeys(finding.all_values.iloc[:, 0]) if len(finding.all_values) else {}
            values = ": " + ", ".join(f"'{name}'" for name in list(names)[:5])
        lines.append(f"{finding.check.drift}: {finding.check.fails}{values}{rows}")
    return lines
