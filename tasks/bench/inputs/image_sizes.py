"""From which size on does a compact CNN find more wrong labels than the default maps of pixels and edges?

Both audits see the same images, folds and wrong labels (10 % uniform, 20 % exchanged for the next class). For each: average
precision of the queue's order, out-of-fold log-loss on the given labels, seconds.
"""

import json
import sys
from typing import Annotated

import numpy as np
import typer

from tasks.attribute import AuditOptions, audit
from tasks.bench.command import CACHE, Cache, Device, Seed, count_of, list_of
from tasks.bench.fetched import IMAGES
from tasks.bench.helpers import choose_names
from tasks.bench.quality.metrics import average_precision
from tasks.bench.quality.noise import NOISE, plant_each
from tasks.bench.stopwatch import time_call


def run_image_sizes(
    *,
    cache: Cache = CACHE,
    sets: Annotated[str, list_of("sets")] = "",
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
    for name in choose_names(sets, IMAGES, "set", "--sets"):
        images, labels = IMAGES[name](cache)
        order = np.random.default_rng(seed).permutation(len(labels))
        for size in sorted({min(int(size), len(labels)) for size in sizes.split(",")}):
            chosen = order[:size]
            for planted, _, given in plant_each(labels[chosen], [seed], kinds):
                for model in models.split(","):
                    asked = options.model_copy(update={"model": model})
                    found, spent = time_call(lambda: audit(images[chosen], given, asked))  # noqa: B023 (called at once)
                    wrong, members = given != labels[chosen], found.members if model == "linear" else []
                    row = {"set": name, "n": size, "noise": planted, "model": model}
                    row["ap"] = round(average_precision(wrong, found.score), 4)
                    row["influence"] = round(average_precision(wrong, found.influence), 4)
                    row["log_loss"] = round(found.members[0].log_loss, 4)
                    row["maps"] = [member.feature_map.name for member in members]
                    row |= {"seconds": round(spent.wall, 1), "processor": round(spent.cpu, 1)}
                    sys.stdout.write(json.dumps(row | {"folds": folds, "rounds": rounds}) + "\n")
                    sys.stdout.flush()
