"""Validate a data set: check its contract and the user's expectations, set failing rows aside, go on with the rest.

Files are published in an order that makes a kill harmless: quarantine, conflicts, suite and result first, the cleaned data set
last, in one rename. Before that rename the input is untouched and a second run does everything again, to the same bytes; after
it the cleaned file carries the digest of what it was made from, and a second run recognises its own work.
"""

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.errors import InputError, ValidationFailed
from tasks.records import Dataset, Validation
from tasks.storage import atomic_path, read_json, sha256_file, write_json
from tasks.validate.checks import contract
from tasks.validate.engine import Engine, quiet
from tasks.validate.expectations import user_checks
from tasks.validate.facts import Progress, gather
from tasks.validate.findings import checked_columns, judge_rows
from tasks.validate.quarantine import write_conflicts, write_kept, write_quarantine
from tasks.validate.result import describe, write_data_docs, write_suite
from tasks.validate.structure import large_classes, require_layout, require_usable, required_columns
from tasks.validate.verdict import Verdict, decide

_log = logging.getLogger("labelsweep.validate")
_STAMP = "labelsweep.validation"


def validate(
    dataset: Dataset,
    folder: Path,
    *,
    folds: int,
    tolerance: float = 0.2,
    expectations: Path | None = None,
    data_docs: bool = False,
    progress: Progress | None = None,
) -> Validation:
    """Check a data set and set aside the rows that fail.

    Args:
        dataset: What ingest wrote.
        folder: The run folder; the cleaned data set is `folder/dataset.parquet`.
        folds: Folds of the audit: each class needs a sample in each.
        tolerance: Share of rows that may fail before the run stops; 0.2 leaves four rows for each that is set aside.
        expectations: The user's own expectations, a YAML or JSON file.
        data_docs: Also write Great Expectations' own pages to `folder/validation/docs`.
        progress: Called with work done and work in all, in rows.

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
    _require_options(folds, tolerance)
    key = _key(dataset, folds, tolerance, expectations)
    kept_from_before = _finished(dataset, folder, key)
    if kept_from_before is not None:
        return kept_from_before
    _remove_partial_files(folder)
    require_layout(dataset)
    columns = checked_columns(dataset.path, dataset.payload)
    with quiet():
        own = user_checks(expectations, columns) if expectations is not None else []
        facts = gather(dataset, _half(progress, dataset.rows, 0))
        require_usable(dataset, facts, folds, tolerance)
        engine = Engine()
        large = large_classes(dataset, facts, folds)
        checks = [*contract(dataset, folds, facts.nonfinite, required_columns(dataset), large), *own]
        findings = judge_rows(
            engine, dataset, checks, facts, columns, _half(progress, dataset.rows, dataset.rows)
        )
        verdict = decide(engine, dataset, facts, findings, checks=checks, folds=folds, tolerance=tolerance)
        docs = folder / "validation" / "docs"
        index = write_data_docs(engine, verdict.findings, docs) if data_docs else None
        write_suite(checks, folder / "validation" / "suite.json")
    if index is not None:
        _log.info("Data Docs: %s", index)
    return _publish(dataset, folder, verdict, key, index)


def _publish(dataset: Dataset, folder: Path, verdict: Verdict, key: str, index: Path | None) -> Validation:
    """Write what was found, then the cleaned data set."""
    quarantine = folder / "quarantine.parquet"
    if verdict.aside.any():
        write_quarantine(dataset.path, verdict.findings, verdict.aside, quarantine)
    else:
        quarantine.unlink(missing_ok=True)
    write_conflicts(dataset.path, verdict.conflicting, folder / "validation" / "conflicts.parquet")
    result = folder / "validation" / "result.json"
    final = folder / "dataset.parquet"
    summary = _summary(dataset, verdict, key)
    if verdict.problem:
        write_json(summary, result)
        raise ValidationFailed(
            verdict.problem,
            where=dataset.uri,
            fix=f"see {result}"
            + (f" and {quarantine}, or allow more with --tolerance" if verdict.aside.any() else ""),
        )
    if not verdict.aside.any():
        write_json(summary | {"digest": dataset.digest}, result)
        _same_file(dataset.path, final)
    else:
        with atomic_path(final) as path:
            digest = write_kept(dataset.path, verdict.aside, {_STAMP: key}, path)
            write_json(summary | {"digest": digest}, result)
    return _record(dataset, folder, read_json(result), index)


def _summary(dataset: Dataset, verdict: Verdict, key: str) -> dict[str, Any]:
    classes = {name: int(count) for name, count in zip(dataset.classes, verdict.counts, strict=True) if count}
    aside = int(verdict.aside.sum())
    return {
        "success": not verdict.problem,
        "problem": verdict.problem,
        "rows_in": dataset.rows,
        "rows": dataset.rows - aside,
        "quarantined": aside,
        "tolerance": verdict.tolerance,
        "reasons": {reason: len(rows) for reason, rows in verdict.reasons.items()},
        "conflicting": len(verdict.conflicting),
        "duplicates": verdict.duplicates,
        "classes": classes,
        "inputs": key,
        "checks": describe(verdict.findings, dataset.path),
    }


def _record(dataset: Dataset, folder: Path, result: dict[str, Any], index: Path | None) -> Validation:
    kept = dataset.model_copy(
        update={
            "path": folder / "dataset.parquet",
            "rows": result["rows"],
            "classes": tuple(name for name in dataset.classes if name in result["classes"]),
            "digest": result["digest"],
        }
    )
    return Validation(
        dataset=kept,
        rows_in=result["rows_in"],
        quarantined=result["quarantined"],
        quarantine=folder / "quarantine.parquet" if result["quarantined"] else None,
        result=folder / "validation" / "result.json",
        reasons=result["reasons"],
        conflicting=result["conflicting"],
        duplicates=result["duplicates"],
        data_docs=index,
    )


def _finished(dataset: Dataset, folder: Path, key: str) -> Validation | None:
    """Return the record of an earlier run that already replaced the data set; None where there is work to do.

    Raises:
        InputError: Rows were set aside under other options, and the file does not hold them any more.
    """
    final = folder / "dataset.parquet"
    if not final.exists() or dataset.path.resolve() != final.resolve():
        return None
    try:
        metadata = pq.read_metadata(final)
    except (OSError, ValueError):
        return None
    stamp = (metadata.metadata or {}).get(_STAMP.encode(), b"").decode()
    # Without fewer rows than were read, a stamp came with the source: somebody sweeps what an earlier run had
    # cleaned.
    if not stamp or metadata.num_rows >= dataset.rows:
        return None
    result = folder / "validation" / "result.json"
    before = read_json(result) if result.exists() else {}
    if stamp != key or before.get("inputs") != key:
        raise InputError(
            "rows were set aside here under other validation options",
            where=str(folder),
            fix="start a new run",
        )
    index = folder / "validation" / "docs" / "index.html"
    return _record(dataset, folder, before, index if index.exists() else None)


def _key(dataset: Dataset, folds: int, tolerance: float, expectations: Path | None) -> str:
    """Return a digest of everything that decides which rows are kept."""
    try:
        own = sha256_file(expectations) if expectations is not None else ""
    except OSError as error:
        raise InputError(
            f"cannot read the expectations ({error.strerror})",
            where=str(expectations),
            fix="name a YAML or JSON file",
        ) from error
    text = "\n".join((dataset.digest, str(dataset.rows), str(folds), repr(float(tolerance)), own))
    return hashlib.sha256(text.encode()).hexdigest()


def _require_options(folds: int, tolerance: float) -> None:
    if folds < 2:
        raise InputError(f"{folds} folds", where="--folds", fix="choose 2 or more")
    if not 0 <= tolerance <= 1:
        raise InputError(f"a tolerance of {tolerance}", where="--tolerance", fix="choose a share from 0 to 1")


def _same_file(source: Path, final: Path) -> None:
    """Let `final` be the same bytes as `source`, without copying them where the file system can share them."""
    if source.resolve() == final.resolve():
        return
    with atomic_path(final) as path:
        path.unlink()
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)


def _remove_partial_files(folder: Path) -> None:
    """Remove what a killed run had begun to write."""
    begun = (
        *folder.glob(".dataset.parquet.*.partial"),
        *folder.glob(".quarantine.parquet.*.partial"),
        *(folder / "validation").glob(".*.partial"),
    )
    for path in begun:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _half(progress: Progress | None, rows: int, offset: int) -> Progress | None:
    """Return a progress that speaks of one of the two passes over the rows."""
    if progress is None:
        return None
    return lambda done, _: progress(offset + done, 2 * rows)
