"""A trained network on disk: safetensors, never a pickle, so that reading a run folder cannot run code."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor

from tasks.fit.network.train import Task, Trained
from tasks.storage import atomic_path

# One entry of metadata: safetensors keeps several in no fixed order, and the same network should be the same bytes.
ABOUT = "about"


def training_key(task: Task, index: Tensor, seed: int) -> str:
    """Return a digest of everything that a training depends on beside the features of the run: whom, on what, how."""
    digest = hashlib.sha256()
    plain = [task.model, task.inputs.shape, task.n_classes, task.features.n, task.features.width, seed]
    digest.update(json.dumps(plain).encode())
    for tensor in (index, task.labels[index]):
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def save_network(trained: Trained, key: str, path: Path) -> None:
    """Write a network, its curve, and the key of its training."""
    about = {"key": key, "curve": trained.curve, "best": trained.best, "stopped": trained.stopped}
    with atomic_path(path) as partial:
        save_model(trained.network, str(partial), {ABOUT: json.dumps(about)})


def load_network(task: Task, key: str, path: Path) -> Trained | None:
    """Read a network back; None where there is none that was trained with this key.

    Args:
        task: Makes the network that takes the weights.
        key: Of the training that is wanted.
        path: What `save_network` wrote.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
        if about.get("key") != key:
            return None
        with torch.random.fork_rng(devices=[]):
            network = task.network().to(task.device)
        load_model(network, path, device=str(task.device))
    except (SafetensorError, RuntimeError):  # the user's architecture has changed since: train anew
        return None
    curve = [(float(loss), float(held_out)) for loss, held_out in about["curve"]]
    return Trained(network.eval(), curve, about["best"], about["stopped"])
