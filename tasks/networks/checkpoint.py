"""A trained network on disk."""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

from tasks.networks.train import Trained, TrainingTask
from tasks.runs.parts import load_part, save_part


def make_training_key(task: TrainingTask, index: Tensor, seed: int) -> str:
    """Return a digest of everything that a training depends on beside the features of the run: whom, on what, how."""
    digest = hashlib.sha256()
    plain = [task.model, task.inputs.shape, task.n_classes, task.features.n, task.features.width, seed]
    digest.update(json.dumps(plain).encode())
    for tensor in (index, task.labels[index]):
        digest.update(tensor.cpu().numpy().tobytes())
    if task.groups is not None:
        digest.update(task.groups.tobytes())
    return digest.hexdigest()


def save_network(trained: Trained, key: str, path: Path) -> None:
    """Write a network, its curve, and the key of its training."""
    about = {"curve": trained.curve, "best": trained.best, "stopped": trained.stopped}
    save_part(path, key, trained.network.state_dict(), about)


def load_network(task: TrainingTask, key: str, path: Path) -> Trained | None:
    """Read a network back; None where there is none that was trained with this key, or it is not what was written.

    Args:
        task: Makes the network that takes the weights.
        path: What `save_network` wrote.
    """
    part = load_part(path, key)
    if part is None:
        return None
    weights, about = part
    with torch.random.fork_rng(devices=[]):
        network = task.network().to(task.device)
    try:
        network.load_state_dict(weights)
    except RuntimeError:  # the user's architecture has changed since: train again
        return None
    curve = [(float(loss), float(held_out)) for loss, held_out in about["curve"]]
    return Trained(network.eval(), curve, about["best"], about["stopped"])
