"""Which model audits the data: one file for each name that `--model` takes, beside `auto` and a function of the user's own.

A file holds a class `Model`, which is a `tasks.heads.model.AuditModel`. This is the one place that knows which model it is; the
steps know only what such a class promises.

Where the user names none, it is convex heads on chosen feature maps, but for images of which there are enough and a GPU to train
on: there a compact CNN, trained out of fold, finds more (`CNN_IMAGES`). Without a GPU it would take many times as long, and is
left to `--model cnn`. The choice depends on data, options and device alone, is made once, in the encode step, and is written
into its record.
"""

from importlib import import_module

import torch

from tasks.heads.design import Design
from tasks.heads.model import OPINIONS, AuditModel
from tasks.heads.samples import Samples, read_samples
from tasks.networks.model import NetworkModel
from tasks.opinions import read_opinions
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, ModelChoice

# On 1,000 images of each of four sets the CNN's queue had an average precision .000 to .044 above that of the convex heads, at 20
# to 40 times the processor time (docs/results/inputs.md); fewer images were not measured.
CNN_IMAGES = 1_000


def make_model(samples: Samples, design: Design, options: AuditOptions) -> AuditModel:
    """Return the model that the options name, or the one that is chosen where they name none.

    Raises:
        InputError: There is no such function, or the model does not fit the samples or the options.
    """
    device, n = samples.labels.device, samples.features.n
    name = choose_model(options, image=samples.is_image_alone, samples=n, device=device).model
    kind = NetworkModel if ":" in name else import_module(f"{__name__}.{name}").Model
    model: AuditModel = kind(samples, design, options.model_copy(update={"model": name}))
    return model


def open_model(dataset: Dataset, encoding: Encoding, options: AuditOptions) -> AuditModel:
    """Return the model of a run, on its samples, as the encode step chose it."""
    options = fill_in_model(options, encoding)
    samples = read_samples(dataset, encoding.features, options.device)
    samples = samples.beside(read_opinions(encoding.path / OPINIONS, [one.name for one in encoding.opinions]))
    return make_model(samples, samples.design(options), options)


def choose_model(options: AuditOptions, *, image: bool, samples: int, device: torch.device) -> ModelChoice:
    """Return the model of an audit, and for images why it is that one.

    Args:
        options: `model` is taken where it names one.
        image: Whether the features are the pixels of images.

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


def fill_in_model(options: AuditOptions, encoding: Encoding) -> AuditOptions:
    """Return the options with the model that the encode step chose, where the user named none."""
    if options.model != "auto":
        return options
    return options.model_copy(update={"model": encoding.choice.model})
