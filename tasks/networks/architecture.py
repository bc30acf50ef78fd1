"""How any network is cut into a body and its last linear layer."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.errors import InputError


@dataclass(frozen=True)
class Split:
    """A network as a body, which gives the penultimate features, and the linear layer that it ends in.

    Attributes:
        body: From inputs (b, *feature_shape) to penultimate features (b, h).
        head: From penultimate features to logits (b, C).
    """

    body: nn.Module
    head: nn.Linear


def split_network(network: nn.Module, probe: Tensor) -> Split:
    """Cut a network at its last linear layer, found by what it does rather than by what it is called.

    Args:
        network: The network, left as it was; in evaluation mode.
        probe: A few inputs, (b, *feature_shape).

    Raises:
        InputError: The network's output is not that of a linear layer on (b, h) features.
    """
    last = _find_last_linear(network, probe)
    if last is None:
        raise InputError("the network does not end in torch.nn.Linear")
    body = copy.deepcopy(network)
    parent, _, name = last.rpartition(".")
    head = body.get_submodule(last)
    if not isinstance(head, nn.Linear):
        raise TypeError("a copy of a network has the same layers")
    if not last:
        return Split(nn.Flatten(), head)
    setattr(body.get_submodule(parent), name, nn.Identity())
    with torch.no_grad():
        features = body(probe)
        if features.ndim != 2 or not torch.equal(head(features), network(probe)):
            raise InputError("the network does not end in torch.nn.Linear")
    return Split(body, head)


def _find_last_linear(network: nn.Module, probe: Tensor) -> str | None:
    """Return the name of the linear layer whose output is the network's output."""
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output}))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            result = network(probe)
    finally:
        for hook in hooks:
            hook.remove()
    return next((name for name, output in reversed(outputs.items()) if output is result), None)
