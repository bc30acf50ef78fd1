"""A trained network on disk: safetensors, never a pickle, so that reading a run folder cannot run code."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from tasks.networks.train import Task, Trained
from tasks.storage import as_metadata, atomic_path, said_in


def training_key(task: Task, index: Tensor, seed: int) -> str:
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
    about = {"key": key, "curve": trained.curve, "best": trained.best, "stopped": trained.stopped}
    with atomic_path(path) as partial:
        save_model(trained.network, str(partial), as_metadata(about | {"check": _check(trained.network)}))


def load_network(task: Task, key: str, path: Path) -> Trained | None:
    """Read a network back; None where there is none that was trained with this key, or it is not what was written.

    Args:
        task: Makes the network that takes the weights.
        key: Of the training that is wanted.
        path: What `save_network` wrote.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = said_in(file.metadata())
        if about.get("key") != key:
            return None
        with torch.random.fork_rng(devices=[]):
            network = task.network().to(task.device)
        load_model(network, path, device=str(task.device))
    # The user's architecture has changed since, or the file was damaged: train anew.
    except (SafetensorError, RuntimeError, ValueError):
        return None
    if about.get("check") != _check(network):
        return None
    curve = [(float(loss), float(held_out)) for loss, held_out in about["curve"]]
    return Trained(network.eval(), curve, about["best"], about["stopped"])


def _check(network: nn.Module) -> str:
    """Return a digest of the weights, by which a flipped bit is found."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
