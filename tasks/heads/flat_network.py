r"""A fold's network with its exact head as one function of all parameters, and the derivatives of that function.

With theta all trainable parameters of the body and those of the head as one vector, z_i(theta) the logits of sample i and
J_i = dz_i / dtheta:

    derivative        u_i = J_i v                                one forward-mode pass
    pulled back       sum_i J_i^T r_i                            one backward pass
    squared lengths   |J_i^T r_ic|^2 for some vectors r_ic       one backward pass for each c

Nothing here knows a layer by name: any network that torch can differentiate in both directions will do.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp, vmap

from tasks.heads.feature_map import FeatureMap
from tasks.heads.features import Features
from tasks.heads.rows import add_intercept

# Gradients of single samples are held for as many samples as fill this many values: 64 MiB of float32.
GRADIENT_VALUES = 2**24


@dataclass(frozen=True)
class FlatNetwork:
    """A network as a function of one flat vector: first the body's trainable parameters, then the head.

    Attributes:
        body: Gives the penultimate features, in evaluation mode.
        feature_map: From penultimate to encoded features, as the head was fitted on.
        shapes: Shape of each trainable parameter of the body by name; its entries are in this order.
        parameters: (P,) where the network is.
        inputs: From raw features (b, d) to the network's inputs (b, *shape).
    """

    body: nn.Module
    feature_map: FeatureMap
    shapes: dict[str, torch.Size]
    parameters: Tensor
    width: int
    features: Features
    inputs: Callable[[Tensor], Tensor]

    def inputs_of(self, index: Tensor) -> Tensor:
        """Return the inputs of some samples in the precision of the parameters."""
        return self.inputs(self.features.take(index)).to(self.parameters)

    @property
    def of_body(self) -> int:
        """Number of parameters of the body; those of the head follow."""
        return sum(shape.numel() for shape in self.shapes.values())

    def logits(self, parameters: Tensor, inputs: Tensor) -> Tensor:
        """Return the logits of some inputs: (P,) and (b, *shape) to (b, C)."""
        parts = torch.split(parameters[: self.of_body], [shape.numel() for shape in self.shapes.values()])
        named = {
            name: part.reshape(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        features = functional_call(self.body, named, (inputs,)) if named else self.body(inputs)
        return add_intercept(self.feature_map(features)) @ parameters[self.of_body :].reshape(self.width, -1)

    def derivative(self, inputs: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and their derivative along a direction (P,), (b, C) each."""
        logits, derivative, *_ = jvp(
            lambda parameters: self.logits(parameters, inputs), (self.parameters,), (along,)
        )
        return logits, derivative

    def pull_back(self, inputs: Tensor, residual: Callable[[Tensor], Tensor]) -> Tensor:
        """Return sum_i J_i^T r_i, (P,), with r = residual(logits), (b, C)."""
        logits, pull, *_ = vjp(lambda parameters: self.logits(parameters, inputs), self.parameters)
        gradient: Tensor = pull(residual(logits.detach()))[0]
        return gradient

    def lengths(self, inputs: Tensor, residuals: Tensor) -> Tensor:
        """Return |J_i^T r_ic|, (b, m), for m vectors of each sample, (b, m, C)."""
        some = max(1, GRADIENT_VALUES // len(self.parameters))
        pairs = zip(torch.split(inputs, some), torch.split(residuals, some), strict=True)
        return torch.cat([vmap(self._compute_lengths)(*pair) for pair in pairs])

    def _compute_lengths(self, one: Tensor, residuals: Tensor) -> Tensor:
        """Do the same for one sample: (*shape) and (m, C) to (m,)."""
        _, pull, *_ = vjp(lambda parameters: self.logits(parameters, one[None])[0], self.parameters)
        return torch.stack([pull(residual)[0].square().sum() for residual in residuals]).sqrt()


def make_flat_network(
    body: nn.Module,
    feature_map: FeatureMap,
    theta: Tensor,
    features: Features,
    inputs: Callable[[Tensor], Tensor],
) -> FlatNetwork:
    """Return the function of a fold's network.

    Args:
        body: From inputs to penultimate features; a copy is taken, in the precision of `theta`.
        feature_map: From its features to those the head was fitted on.
        theta: (width, C) parameters of the head.
    """
    body = copy.deepcopy(body).eval().to(theta)
    trained = {name: p.detach() for name, p in body.named_parameters() if p.requires_grad}
    flat = torch.cat([p.reshape(-1) for p in (*trained.values(), theta.detach())])
    shapes = {name: p.shape for name, p in trained.items()}
    return FlatNetwork(body, feature_map.to(theta), shapes, flat, len(theta), features, inputs)
