"""Which model audits the data where the user named none.

Convex heads on chosen feature maps, but for images of which there are enough and a GPU to train on: there a compact CNN, trained
out of fold, finds more (`CNN_IMAGES`). Without a GPU it would take many times as long, and is left to `--model cnn`. The choice
depends on data, options and device alone, is made once, in the encode step, and is written into its record.
"""

import torch

from tasks.options import AuditOptions
from tasks.records import Encoding, ModelChoice

# On 1,000 images of each of four sets the CNN's queue had an average precision .000 to .044 above that of the convex heads, at 20
# to 40 times the processor time (tests/benchmarks/results/inputs.md); fewer images were not measured.
CNN_IMAGES = 1_000


def choose_model(options: AuditOptions, *, image: bool, samples: int, device: torch.device) -> ModelChoice:
    """Return the model of an audit, and for images why it is that one.

    Args:
        options: `model` is taken where it names one.
        image: Whether the features are the pixels of images.
        samples: How many there are.
        device: Where the models live.

    >>> choose_model(AuditOptions(), image=True, samples=5_000, device=torch.device("cuda")).model
    'cnn'
    >>> choose_model(AuditOptions(), image=True, samples=5_000, device=torch.device("cpu")).why
    'without a GPU --model cnn takes many times as long'
    >>> choose_model(AuditOptions(model="mlp"), image=True, samples=5_000, device=torch.device("cpu"))
    ModelChoice(model='mlp', why='')
    """
    if options.model != "auto":
        return ModelChoice(model=options.model, why="")
    if not image:
        return ModelChoice(model="linear", why="")
    if samples < CNN_IMAGES:
        return ModelChoice(model="linear", why=f"there are fewer than {CNN_IMAGES:,} images")
    if options.dask:
        return ModelChoice(model="linear", why="networks are not trained on a cluster")
    if device.type != "cuda":
        return ModelChoice(model="linear", why="without a GPU --model cnn takes many times as long")
    return ModelChoice(model="cnn", why=f"there are {samples:,} images and a GPU to train on")


def settled(options: AuditOptions, encoding: Encoding) -> AuditOptions:
    """Return the options with the model that the encode step chose, where the user named none."""
    if options.model != "auto":
        return options
    return options.model_copy(update={"model": encoding.choice.model})
