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
        shared: How many of the last features are directions of texts, each as long as what it explains.
    """

    names: tuple[str, ...]
    batches: Callable[[], Iterator[Array]]
    shared: int = 0


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
        return _texts(dataset, "text", options)
    if not dataset.columns:
        return Encoded(dataset.feature_names, lambda: stored_batches(dataset))
    table = fit_table(dataset.columns, lambda: stored_batches(dataset))
    numbers = Encoded(table.names, lambda: (table(batch) for batch in stored_batches(dataset)))
    texts = [_texts(dataset, column, options, f"{column}: ") for column in dataset.texts]
    if not table.names and not texts:
        raise InputError(
            "no column tells two rows apart", where=dataset.uri, fix="name other columns with --features"
        )
    return _side_by_side([numbers, *texts]) if texts else numbers


def _texts(dataset: Dataset, column: str, options: AuditOptions, prefix: str = "") -> Encoded:
    """Return the directions of a column of texts."""
    encoder = fit_text(lambda: text_batches(dataset, column), options.seed)
    names = tuple(f"{prefix}{name}" for name in encoder.names)
    return Encoded(names, lambda: map(encoder, text_batches(dataset, column)), len(names))


def _side_by_side(parts: Sequence[Encoded]) -> Encoded:
    """Return features side by side: numbers first, then the directions of each text."""
    return Encoded(
        tuple(name for part in parts for name in part.names),
        lambda: map(np.hstack, zip(*(_even(part.batches()) for part in parts), strict=True)),
        sum(part.shared for part in parts),
    )


def _even(batches: Iterator[Array]) -> Iterator[Array]:
    """Yield the same rows in batches of `TEXTS`."""
    rest: Array | None = None
    for batch in batches:
        rest = batch if rest is None else np.concatenate([rest, batch])
        while len(rest) >= TEXTS:
            yield rest[:TEXTS]
            rest = rest[TEXTS:]
    if rest is not None and len(rest):
        yield rest


def stored_batches(dataset: Dataset) -> Iterator[Array]:
    """Yield the features as they are stored, (b, d) float32 each."""
    width = len(dataset.feature_names)
    rows = max(1, BATCH_BYTES // (4 * width))
    with open_parquet(dataset.path) as file:
        for batch in file.iter_batches(rows, columns=["features"]):
            flat = batch.column("features").flatten().to_numpy(zero_copy_only=False)
            yield np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, width)


def text_batches(dataset: Dataset, column: str = "text") -> Iterator[list[str]]:
    """Yield the texts of a column."""
    with open_parquet(dataset.path) as file:
        for batch in file.iter_batches(TEXTS, columns=[column]):
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
