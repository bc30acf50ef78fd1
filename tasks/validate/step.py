"""The validate step of the flow."""

from pathlib import Path

from tasks.records import Dataset, Validation
from tasks.runs.step import Arguments, step
from tasks.storage import read_json
from tasks.validate import validate as validate_dataset
from tasks.validate.drift import Contract


def _digest_ingested(given: Arguments) -> dict[str, str]:
    """Return the digest of what ingest read: a source that changed is validated again, whatever column changed."""
    record = given["folder"] / "steps" / "ingest.json"
    return {"ingest": str(read_json(record)["inputs"]) if record.exists() else ""}


@step(reads=_digest_ingested, may_retry=True)
def validate(
    dataset: Dataset,
    folder: Path,
    *,
    folds: int,
    tolerance: float = 0.2,
    expectations: Path | None = None,
    data_docs: bool = False,
    previous: Path | None = None,
    drift: str = "warn",
    drift_tolerance: float = 0.2,
) -> Validation:
    """Set aside the rows that fail, or return what an earlier try found in the same data under the same options.

    Args:
        folds: Folds of the audit: each class needs a sample in each.
        tolerance: Share of rows that may fail.
        expectations: The user's own expectations, a YAML or JSON file.
        previous: Folder of the last finished run of the same data set.
        drift: What follows where the data are not what they were then.

    Raises:
        InputError: The data cannot be audited, or the file of expectations is wrong.
        ValidationFailed: Too many rows fail, or an expectation about a whole column does not hold.
    """
    return validate_dataset(
        dataset,
        folder,
        folds=folds,
        tolerance=tolerance,
        expectations=expectations,
        data_docs=data_docs,
        contract=Contract(previous, drift, drift_tolerance),
    )
