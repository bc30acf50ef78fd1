"""Train one network on the samples of one fold, and stop before it learns the wrong labels by heart.

AdamW (Loshchilov & Hutter, 2019) with warm-up and cosine decay, label smoothing, and early stopping on an inner
held-out part of the training samples. A network learns what labels have in common before it learns single ones (Arpit
et al., "A Closer Look at Memorization in Deep Networks", 2017): where the held-out loss turns, memorising begins.
The result is a function of samples and seed alone: every random number comes from generators made here.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.arrays import Array
from tasks.errors import InputError
from tasks.heads.device import make_deterministic
from tasks.heads.features import Features
from tasks.heads.groups import list_members
from tasks.networks.factory import Factory, make_network
from tasks.networks.inputs import InputMap, augment_images

# Wrong labels are hard targets that a network would have to grow its weights for; smoothed ones are not (Lukasik et al., "Does
# label smoothing mitigate label noise?", 2020). On the digits with 5 % uniform and 20 % next-class errors it lowers the
# out-of-fold log-loss from 0.48 to 0.43 and from 0.73 to 0.72.
LABEL_SMOOTHING = 0.1

# PyTorch's default for AdamW; on weights only, since shrinking a bias or a norm regularises nothing.
WEIGHT_DECAY = 1e-2
WARM_UP, CLIP_NORM = 0.05, 1.0

# The held-out loss is watched on a tenth of the samples, at most so many; ten epochs without a new best end the training.
INNER_SHARE, INNER_MOST, PATIENCE = 0.1, 20_000, 10

# Small data get all epochs, large data as many as fit in a number of steps, but never fewer than five.
EPOCHS, FEWEST_EPOCHS, STEPS = 60, 5, 30_000
BATCH, LARGE_BATCH, LARGE = 128, 512, 50_000

# Batches are read from the features this many at a time, and evaluated in blocks of this many samples.
CHUNK, EVALUATED = 32, 2_048


@dataclass(frozen=True)
class TrainingTask:
    """What all folds of a round train on.

    Attributes:
        labels: (n,) long.
        n_classes: C.
        model: Its name, as `--model` has it.
        groups: (n,) int, samples of one number belong together; None where each is alone.
        augments: Whether the inputs are images that are changed a little while a network trains.
    """

    features: Features
    labels: Tensor
    n_classes: int
    inputs: InputMap
    factory: Factory
    model: str
    groups: Array | None = None
    learning_rate: float = 1e-3
    augments: bool = False

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.features.like.device

    def network(self) -> nn.Module:
        """Return a new network with weights drawn from the global generator."""
        network = make_network(self.factory, self.model, self.inputs.shape, self.n_classes)
        with torch.no_grad():  # lazy layers draw their weights when they see an input
            network.eval()(torch.zeros(2, *self.inputs.shape))
        return network

    def inputs_of(self, index: Tensor) -> Tensor:
        """Return the inputs of some samples, float32."""
        return self.inputs(self.features.take(index)).float()


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        network: In evaluation mode, with the weights of its best epoch.
        curve: For each epoch the mean training loss (with label smoothing) and the held-out loss, in nats.
        best: The epoch whose weights were kept, from 0.
        stopped: Whether the held-out loss had stopped falling before the epochs ran out.
    """

    network: nn.Module
    curve: list[tuple[float, float]]
    best: int
    stopped: bool


def train(task: TrainingTask, index: Tensor, seed: int) -> Trained:
    """Train a network on some samples.

    Args:
        index: (m,) the samples to train on, the inner held-out part among them.
        seed: Decides initial weights, order, augmentation and dropout.

    Raises:
        InputError: The loss is not finite from the start.
    """
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), make_deterministic(task.device):
        torch.manual_seed(seed)
        return _train(task, index, torch.Generator().manual_seed(seed))


def _train(task: TrainingTask, index: Tensor, generator: torch.Generator) -> Trained:
    network = task.network().to(task.device)
    inner, outer = _split(index, generator, task.groups)
    batch = BATCH if len(outer) < LARGE else LARGE_BATCH
    per_epoch = math.ceil(len(outer) / batch)
    epochs = min(EPOCHS, max(FEWEST_EPOCHS, STEPS // per_epoch))
    optimizer = torch.optim.AdamW(_group_parameters(network), lr=task.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_cosine(epochs * per_epoch))
    curve: list[tuple[float, float]] = []
    best, kept = 0, copy.deepcopy(network.state_dict())
    for epoch in range(epochs):
        loss = _run_epoch(task, network, optimizer, schedule, outer, batch, generator)
        curve.append((loss, mean_loss(task, network, inner)))
        if not math.isfinite(curve[0][1]):
            raise InputError(
                "the network's loss is not finite after one epoch",
                where=f"--model {task.model}",
                fix="normalise between its layers, or make its weights smaller",
            )
        if curve[epoch][1] < curve[best][1] or epoch == 0:
            best, kept = epoch, copy.deepcopy(network.state_dict())
        if epoch - best >= PATIENCE:
            break
    network.load_state_dict(kept)
    return Trained(network.eval(), curve, best, stopped=best < epochs - 1)


def _split(index: Tensor, generator: torch.Generator, groups: Array | None) -> tuple[Tensor, Tensor]:
    """Return the inner held-out samples and the others, drawn at random; at least one of each, and a single one as both.

    No group is split, unless all samples are of one.
    """
    order = index[torch.randperm(len(index), generator=generator).to(index.device)]
    inner = max(1, min(INNER_MOST, round(INNER_SHARE * len(index))))
    if groups is not None:
        members = list_members(groups[order.cpu().numpy()])
        order = order[torch.from_numpy(np.argsort(members.code, kind="stable")).to(order.device)]
        ends = members.size.cumsum()
        inner = int(ends[min(int(np.searchsorted(ends, inner)), len(ends) - 2)]) if len(ends) > 1 else inner
    return order[:inner], order[inner:] if len(index) > 1 else order


def _group_parameters(network: nn.Module) -> list[dict[str, object]]:
    """Return the parameters in two groups: weights, which decay, and the rest."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _warm_cosine:  # noqa: N801 (a function of the step with one constant)
    def __init__(self, steps: int) -> None:
        self.steps, self.warm = steps, max(1, round(WARM_UP * steps))

    def __call__(self, step: int) -> float:
        rise = min(1.0, (step + 1) / self.warm)
        return rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def _run_epoch(
    task: TrainingTask,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    index: Tensor,
    size: int,
    generator: torch.Generator,
) -> float:
    """Train one epoch; return the mean training loss."""
    network.train()
    total = torch.zeros((), device=task.device)
    for inputs, labels in _draw_batches(task, index, size, generator):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(inputs), labels, label_smoothing=LABEL_SMOOTHING)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        total += loss.detach() * len(labels)
    return float(total) / len(index)


def _draw_batches(
    task: TrainingTask, index: Tensor, size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of shuffled batches; a last one of a single sample joins none, as batch norms need two."""
    order = index[torch.randperm(len(index), generator=generator).to(index.device)]
    for chunk in torch.split(order, size * CHUNK):
        inputs, labels = task.inputs_of(chunk), task.labels[chunk]
        for own, given in zip(torch.split(inputs, size), torch.split(labels, size), strict=True):
            if len(own) > 1 or len(index) == 1:
                yield (augment_images(own, generator) if task.augments else own), given


def mean_loss(task: TrainingTask, network: nn.Module, index: Tensor) -> float:
    """Return the mean loss of a network on some samples, in evaluation mode and without label smoothing."""
    network.eval()
    total = torch.zeros((), dtype=torch.float64, device=task.device)
    with torch.no_grad():
        for part in torch.split(index, EVALUATED):
            logits = network(task.inputs_of(part))
            total += F.cross_entropy(logits, task.labels[part], reduction="sum").double()
    return float(total) / len(index)
