"""The feature file: what the audit reads, one row of float32 for each sample, whatever the samples are."""

from pathlib import Path

from tasks.encode.encoded import read_features
from tasks.encode.feature_names import write_names
from tasks.heads.features import STORED
from tasks.options import AuditOptions
from tasks.records import Dataset, FeatureFile
from tasks.runs.progress import report_progress
from tasks.storage import open_atomically


def featurize(dataset: Dataset, folder: Path, options: AuditOptions | None = None) -> FeatureFile:
    """Write the features of a validated data set into one flat file, batch by batch.

    Args:
        folder: Where to write `features.f32`, and `features.json` with the names of the features.
        options: What decides how content that is not numbers is encoded.

    Returns:
        The record of the file.

    Raises:
        InputError: No column of a table tells two rows apart, or the user's encoder cannot be read.
    """
    # Beside the folder of the runs, so that the next run finds what this one asked of the model.
    cache = folder.parents[2] / "embeddings" if folder.parents[1].name == "runs" else folder
    features = read_features(dataset, options or AuditOptions(), cache)
    final = folder / "features.f32"
    with open_atomically(final) as path, path.open("wb") as file:
        written = 0
        for batch in features.batches():
            batch.astype(STORED, copy=False).tofile(file)
            written += len(batch)
            report_progress("rows", written, dataset.rows)
    write_names(features.names, folder)
    return FeatureFile(
        path=final,
        rows=dataset.rows,
        width=len(features.names),
        shared=features.shared,
        embedded=features.embedded,
        second=features.second,
        encoder=features.encoder,
    )
