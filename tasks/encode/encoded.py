"""The features of every sample, whatever the samples are: copied where they are numbers already, encoded where they are not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tasks.arrays import Array
from tasks.encode.cache import embedded
from tasks.encode.pretrained import ImageModel, TextModel, check_folder, fingerprint
from tasks.encode.table import fit_table
from tasks.encode.text import fit_text
from tasks.errors import InputError
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.storage import open_parquet

# Bytes of one batch as float32: the memory of this step, about three times over.
BATCH_BYTES = 16 * 2**20
TEXTS = 1_024
IMAGES = 128

T = TypeVar("T")


@dataclass(frozen=True)
class Encoded:
    """Features in batches.

    Attributes:
        names: Name of each feature.
        batches: Starts over the features in the order of the data set, (b, d) float32 each.
    """

    names: tuple[str, ...]
    batches: Callable[[], Iterator[Array]]


def encoded(dataset: Dataset, options: AuditOptions, cache: Path | None = None) -> Encoded:
    """Return the features of a validated data set.

    Args:
        dataset: Canonical data.
        options: Name the user's encoder, and the seed of what is drawn.
        cache: Folder in which embeddings are kept, needed for the user's encoder.

    Raises:
        InputError: No column of a table tells two rows apart, or the user's encoder cannot be read.
    """
    if options.encoder is not None:
        return _pretrained(dataset, Path(options.encoder), options.device, cache or dataset.path.parent)
    if dataset.payload == "text":
        text = fit_text(lambda: text_batches(dataset), options.seed)
        return Encoded(text.names, lambda: (text(batch) for batch in text_batches(dataset)))
    if not dataset.columns:
        return Encoded(dataset.feature_names, lambda: stored_batches(dataset))
    table = fit_table(dataset.columns, lambda: stored_batches(dataset))
    if not table.names:
        raise InputError(
            "no column tells two rows apart", where=dataset.uri, fix="name other columns with --features"
        )
    return Encoded(table.names, lambda: (table(batch) for batch in stored_batches(dataset)))


def has_shared_unit(dataset: Dataset, options: AuditOptions) -> bool:
    """Return whether all features have one unit: the directions of texts, each as long as what it explains.

    Standardised one by one, the last of 149 directions of 150 texts count as much as the first: average precision .15 instead
    of 1.00 on 150 texts, .68 instead of .96 on 300, .86 instead of .96 on 482, and as much on 4,000.
    """
    return dataset.payload == "text" and options.encoder is None


def stored_batches(dataset: Dataset) -> Iterator[Array]:
    """Yield the features as they are stored, (b, d) float32 each."""
    width = len(dataset.feature_names)
    rows = max(1, BATCH_BYTES // (4 * width))
    with open_parquet(dataset.path) as file:
        for batch in file.iter_batches(rows, columns=["features"]):
            flat = batch.column("features").flatten().to_numpy(zero_copy_only=False)
            yield np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, width)


def text_batches(dataset: Dataset) -> Iterator[list[str]]:
    """Yield the texts."""
    with open_parquet(dataset.path) as file:
        for batch in file.iter_batches(TEXTS, columns=["text"]):
            yield [text or "" for text in batch.column(0).to_pylist()]


def image_batches(dataset: Dataset) -> Iterator[list[bytes]]:
    """Yield the files of the images."""
    with open_parquet(dataset.path) as file:
        for batch in file.iter_batches(IMAGES, columns=["image"]):
            yield batch.column(0).to_pylist()


def _pretrained(dataset: Dataset, folder: Path, device: str, cache: Path) -> Encoded:
    """Return the embeddings that the user's own model gives, each content embedded once for all runs."""
    where = f"--encoder {folder}"
    if dataset.payload not in ("text", "image"):
        raise InputError("it reads texts or images", where=where, fix="name a column with --text or --image")
    check_folder(folder)
    store = cache / f"{folder.name}-{fingerprint(folder)}.sqlite"

    def batches() -> Iterator[Array]:
        if dataset.payload == "text":
            texts = TextModel(folder, device)
            for some in text_batches(dataset):
                yield embedded(store, [text.encode() for text in some], _asked(texts, some))
        else:
            images = ImageModel(folder, device)
            for files in image_batches(dataset):
                yield embedded(store, files, _asked(images, files))

    width = next(batches()).shape[1]
    return Encoded(tuple(f"embedding[{place}]" for place in range(width)), batches)


def _asked(model: Callable[[Sequence[T]], Array], contents: Sequence[T]) -> Callable[[Sequence[int]], Array]:
    """Return the model as a function of places in some contents."""
    return lambda places: model([contents[place] for place in places])
