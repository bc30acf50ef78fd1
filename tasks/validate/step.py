"""The validate step of the flow."""

from functools import partial
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from tasks.records import Dataset, Validation
from tasks.steps import may_pass, recorded, tick
from tasks.storage import read_json, sha256_file
from tasks.validate import validate as validate_dataset


@task(
    name="validate",
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,
)
def validate(
    dataset: Dataset,
    folder: Path,
    *,
    folds: int,
    tolerance: float = 0.2,
    expectations: Path | None = None,
    data_docs: bool = False,
) -> Validation:
    """Set aside the rows that fail, or return what an earlier try found in the same data under the same options.

    Args:
        dataset: What ingest wrote.
        folder: The run folder.
        folds: Folds of the audit: each class needs a sample in each.
        tolerance: Share of rows that may fail.
        expectations: The user's own expectations, a YAML or JSON file.
        data_docs: Also write Great Expectations' own pages.

    Raises:
        InputError: The data cannot be audited, or the file of expectations is wrong.
        ValidationFailed: Too many rows fail, or an expectation about a whole column does not hold.
    """
    inputs = {
        "dataset": dataset,
        "ingest": _ingested_from(folder),
        "folds": folds,
        "tolerance": tolerance,
        "expectations": sha256_file(expectations)
        if expectations is not None and expectations.is_file()
        else "",
        "data_docs": data_docs,
    }
    validation = recorded(
        "validate",
        folder,
        Validation,
        inputs,
        lambda: validate_dataset(
            dataset,
            folder,
            folds=folds,
            tolerance=tolerance,
            expectations=expectations,
            data_docs=data_docs,
            progress=partial(tick, "rows"),
        ),
    )
    _log(validation)
    return validation


def _ingested_from(folder: Path) -> str:
    """Return the digest of what ingest read: a source that changed is validated anew, whatever column changed."""
    record = folder / "steps" / "ingest.json"
    return str(read_json(record)["inputs"]) if record.exists() else ""


def _log(validation: Validation) -> None:
    logger = get_run_logger()
    for reason, rows in validation.reasons.items():
        logger.info("set aside: %s (%d rows)", reason, rows)
    if validation.data_docs is not None:
        logger.info("Data Docs: %s", validation.data_docs)
