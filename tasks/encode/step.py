"""The encode step: features into one file, then the choice of feature maps and regularisation, written down."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.encode.choose import choose_members
from tasks.encode.featurize import featurize
from tasks.encode.store import save_encoding
from tasks.fit.data import read_samples
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding
from tasks.steps import recorded
from tasks.storage import write_json


@task(name="encode", cache_policy=NO_CACHE)
def encode(dataset: Dataset, folder: Path, options: AuditOptions) -> Encoding:
    """Choose the ensemble by out-of-fold log-loss on the given labels."""
    return recorded(
        "encode",
        folder,
        Encoding,
        {"dataset": dataset, "options": options},
        lambda: _encode(dataset, folder, options),
    )


def _encode(dataset: Dataset, folder: Path, options: AuditOptions) -> Encoding:
    features = featurize(dataset, folder / "model")
    samples = read_samples(dataset, features, options.device)
    members = choose_members(
        samples.features, samples.labels, samples.design(options), samples.n_classes, options
    )
    write_json(list(dataset.classes), folder / "model" / "labels.json")
    return save_encoding(members, features, folder / "model" / "encoding")
