"""Validate a data set: check its contract and the user's expectations, set failing rows aside, continue with the rest.

Files are published in an order that makes a kill harmless: quarantine, conflicts, suite and result first, the cleaned data set
last, in one rename. Before that rename the input is untouched and a second run does everything again, to the same bytes; after
it `result.json` says what the cleaned file was made from, and a second run recognises its own work.
"""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tasks.errors import InputError, ValidationFailed
from tasks.json_objects import read_object
from tasks.records import Dataset, Validation
from tasks.storage import hash_file, open_atomically, write_json
from tasks.validate.checks import Check, list_contract_checks
from tasks.validate.drift import CONTRACT, Contract, describe_drift, write_contract
from tasks.validate.expectations import read_user_checks
from tasks.validate.facts import RowFacts, gather_facts
from tasks.validate.findings import Finding, judge_rows, silence_expectations
from tasks.validate.quarantine import write_conflicts, write_kept, write_quarantine
from tasks.validate.result import describe_checks, write_data_docs, write_suite
from tasks.validate.row_counts import find_unusable_rows
from tasks.validate.verdict import Verdict, decide_rows, require_layout, require_usable, set_aside

_log = logging.getLogger("labelsweep.validate")


def validate(
    dataset: Dataset,
    folder: Path,
    *,
    folds: int,
    tolerance: float = 0.2,
    expectations: Path | None = None,
    data_docs: bool = False,
    contract: Contract | None = None,
) -> Validation:
    """Check a data set and set aside the rows that fail.

    Args:
        folder: The run folder; the cleaned data set is `folder/dataset.parquet`.
        folds: Folds of the audit: each class needs a sample in each.
        tolerance: Share of rows that may fail before the run stops; 0.2 leaves four rows for each that is set aside.
        expectations: The user's own expectations, a YAML or JSON file.
        data_docs: Also write Great Expectations' own pages to `folder/validation/docs`.
        contract: What the last run of the data set was like.

    Returns:
        The record of what was kept. `conflicting` counts the kept samples whose content carries another label too,
        `duplicates` those that repeat the content and label of an earlier one.

    Raises:
        InputError: The data cannot be audited, or the file of expectations is wrong.
        ValidationFailed: More rows than `tolerance` fail, none is left, or an expectation about a whole column does not hold.
            The details stay in the folder.

    >>> import tempfile
    >>> from tasks.ingest import ingest
    >>> from tasks.records import Source
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = ["size,label", *(f"{n},{'ab'[n % 2]}" for n in range(20)), "nan,a"]
    >>> _ = (folder / "sizes.csv").write_text(chr(10).join(rows))
    >>> validation = validate(ingest(Source(uri=str(folder / "sizes.csv")), folder), folder, folds=5)
    >>> validation.rows_in, validation.dataset.rows, validation.reasons
    (21, 20, {'a feature is not finite': 1})
    """
    _check_options(folds, tolerance)
    key = _digest_request(dataset, folds, tolerance, expectations, contract.key if contract else "")
    if (earlier := _find_earlier(dataset, folder, key)) is not None:
        return earlier
    columns = require_layout(dataset)
    docs = folder / "validation" / "docs"
    shutil.rmtree(docs, ignore_errors=True)
    with silence_expectations():
        theirs = {name: name for name in columns} | dataset.own_names
        own = read_user_checks(expectations, list(theirs)) if expectations is not None else []
        facts = gather_facts(dataset)
        require_usable(dataset, facts, folds, tolerance)
        findings = _judge(dataset, facts, columns, own, contract or Contract(None, "off", 0))
        verdict = decide_rows(dataset, facts, findings, folds=folds, tolerance=tolerance)
        if data_docs:
            _log.info("Data Docs: %s", write_data_docs(verdict.findings, docs))
        write_suite(verdict.findings, folder / "validation" / "suite.json")
    _keep_contract(dataset, facts, verdict, folder / "validation" / CONTRACT)
    return _publish(dataset, folder, verdict, {"tolerance": tolerance, "inputs": key})


def _judge(
    dataset: Dataset, facts: RowFacts, columns: Sequence[str], own: list[Check], last: Contract
) -> list[Finding]:
    """Return what is found of the contract, of the user's own checks, and against the last run."""
    names = {name: name for name in columns}
    return [
        *judge_rows(dataset, list_contract_checks(dataset), names),
        *find_unusable_rows(dataset, facts),
        *judge_rows(dataset, [*own, *last.list_checks(dataset)], names | dataset.own_names),
        *last.list_findings(dataset, facts.labels),
    ]


def _keep_contract(dataset: Dataset, facts: RowFacts, verdict: Verdict, final: Path) -> None:
    """Write what the next run is held to: all rows that were read, without those that drifted and are set aside for it.

    The next run compares all of its rows, too: the same file once more is no drift, whatever else was set aside.
    """
    if verdict.problem:
        return  # the next run is held to the last good one
    drifted = set_aside([finding for finding in verdict.findings if finding.check.drift], dataset.rows)
    labels = facts.labels[~drifted & (facts.labels >= 0)]
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    classes = {name: count for name, count in zip(dataset.classes, counts, strict=True) if count}
    with TemporaryDirectory() as scratch:
        rows = dataset.path
        if drifted.any():
            rows = Path(scratch) / "rows.parquet"
            write_kept(dataset.path, drifted, rows)
        write_contract(dataset.model_copy(update={"path": rows}), classes, final)


def _check_options(folds: int, tolerance: float) -> None:
    """Raise InputError where an option is out of its range."""
    if folds < 2:
        raise InputError(f"{folds} folds", where="--folds", fix="choose 2 or more")
    if not 0 <= tolerance <= 1:
        raise InputError(f"a tolerance of {tolerance}", where="--tolerance", fix="choose a share from 0 to 1")


def _publish(dataset: Dataset, folder: Path, verdict: Verdict, options: dict[str, Any]) -> Validation:
    """Write what was found, then the cleaned data set."""
    quarantine, final = folder / "quarantine.parquet", folder / "dataset.parquet"
    result = folder / "validation" / "result.json"
    aside = int(verdict.aside.sum())
    if aside:
        write_quarantine(dataset.path, verdict.findings, verdict.aside, quarantine)
    else:
        quarantine.unlink(missing_ok=True)
    write_conflicts(dataset.path, verdict.conflicting, folder / "validation" / "conflicts.parquet")
    found = {
        "success": not verdict.problem,
        "problem": verdict.problem,
        "rows_in": dataset.rows,
        "rows": dataset.rows - aside,
        "quarantined": aside,
        "reasons": {reason: len(rows) for reason, rows in verdict.reasons.items()},
        "conflicting": len(verdict.conflicting),
        "duplicates": verdict.duplicates,
        "classes": {
            name: int(count) for name, count in zip(dataset.classes, verdict.counts, strict=True) if count
        },
        "typos": verdict.typos,
        "drift": describe_drift(verdict.findings),
        **options,
        "checks": describe_checks(verdict.findings, dataset.path),
    }
    if verdict.problem:
        write_json(found, result)
        more = f" and {quarantine}, or allow more with --tolerance" if aside else ""
        raise ValidationFailed(verdict.problem, where=dataset.uri, fix=f"see {result}{more}")
    if not aside and dataset.path.resolve() == final.resolve():
        found["digest"] = dataset.digest
        write_json(found, result)
        return _record(dataset, folder, found)
    with open_atomically(final) as path:
        found["digest"] = write_kept(dataset.path, verdict.aside, path) if aside else dataset.digest
        if not aside:
            shutil.copyfile(dataset.path, path)
        write_json(found, result)
    return _record(dataset, folder, found)


def _record(dataset: Dataset, folder: Path, result: dict[str, Any]) -> Validation:
    """Return the record of what `result.json` holds."""
    index = folder / "validation" / "docs" / "index.html"
    kept = {
        "path": folder / "dataset.parquet",
        "rows": result["rows"],
        "classes": tuple(
            name
            for name in dataset.classes
            if name in result["classes"] and name not in result.get("typos", {})
        ),
        "typos": result.get("typos", {}),
        "digest": result["digest"],
    }
    return Validation(
        dataset=dataset.model_copy(update=kept),
        rows_in=result["rows_in"],
        quarantined=result["quarantined"],
        quarantine=folder / "quarantine.parquet" if result["quarantined"] else None,
        result=folder / "validation" / "result.json",
        reasons=result["reasons"],
        conflicting=result["conflicting"],
        duplicates=result["duplicates"],
        data_docs=index if index.exists() else None,
        drift=tuple(result.get("drift", ())),
    )


def _find_earlier(dataset: Dataset, folder: Path, key: str) -> Validation | None:
    """Return the record of an earlier run that has replaced the data set with the rows that it kept, None without one.

    Raises:
        InputError: It did so under other options, and the file does not hold all rows any more.
    """
    final, before = folder / "dataset.parquet", read_object(folder / "validation" / "result.json")
    try:
        rows = pq.read_metadata(final).num_rows
    except (OSError, ValueError):
        return None
    if dataset.path.resolve() != final.resolve() or rows == dataset.rows or rows != before.get("rows"):
        return None
    if before.get("inputs") != key:
        what = "rows were set aside here under other validation options"
        raise InputError(what, where=str(folder), fix="start a new run")
    return _record(dataset, folder, before)


def _digest_request(
    dataset: Dataset, folds: int, tolerance: float, expectations: Path | None, contract: str
) -> str:
    """Return a digest of everything that decides which rows are kept."""
    try:
        own = hash_file(expectations) if expectations is not None else ""
    except OSError as error:
        raise InputError(
            f"cannot read the expectations ({error.strerror})",
            where=str(expectations),
            fix="name a YAML or JSON file",
        ) from error
    text = "\n".join((dataset.digest, str(dataset.rows), str(folds), repr(float(tolerance)), own, contract))
    return hashlib.sha256(text.encode()).hexdigest()
