r"""Feature maps: standardised features, or the Nyström features of an RBF kernel on them.

A linear head on kernel features draws curved borders and stays convex. With landmarks Z (m of the samples), k
the kernel exp(-gamma |a - b|^2) and K_ZZ = V diag(w) V^T, the features of x are k(x, Z) V w^{-1/2}: their
inner products are the Nyström approximation of the kernel (Williams & Seeger, "Using the Nyström Method to
Speed Up Kernel Machines", 2001). Both kinds are rotated to the principal components of a sample: the model
and its regularisation do not notice a rotation, but conjugate gradients do (the Hessian becomes nearly
diagonal, which a diagonal preconditioner then removes).

Everything is plain torch, so that the derivative of an influence with respect to the input goes through the
map.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.heads.edges import compute_edge_histograms

# Directions of the kernel matrix with an eigenvalue below this share of the largest are rounding, not signal.
EIGENVALUE_FLOOR = 1e-6

# Kernel features have norm one, standardised features a norm of the square root of their number: this brings the two into the
# range of the same regularisation.
KERNEL_SCALE = 10.0

# The eigendecomposition is cubic in the width: 1.5 s at 2,048 on two cores, and beyond it more than the
# rotation saves.
ROTATED_WIDTH = 2_048

# A feature whose spread is below this share of its magnitude is constant up to float32 rounding (2^-23), and
# carries nothing.
CONSTANT_SHARE = 1e-6


@dataclass(frozen=True)
class FeatureMap:
    """A map from raw features (b, d) to encoded features (b, width).

    Attributes:
        name: `raw`, `pca`, or `kernel x` with the multiple x of the median heuristic's gamma; `edges` before it says that the
            map begins with the histograms of an image, `embedding` that it sees nothing else, `numbers` or `texts` that it sees
            nothing else of a table.
        mean: (d,) mean of each raw feature, or of each number in the histograms.
        scale: (d,) standard deviation of the same, 1 where it is constant.
        projection: From standardised features (d, r) or kernel values (m, r) to encoded features, None for
            the identity.
        landmarks: (m, d) standardised landmarks, None for `raw`.
        gamma: Width of the kernel.
        image: Shape of an image whose histograms of gradients take the place of its pixels; empty for what is used as it is.
        columns: First raw feature that the map sees and the one after the last; empty where it sees all.
    """

    name: str
    mean: Tensor
    scale: Tensor
    projection: Tensor | None = None
    landmarks: Tensor | None = None
    gamma: float = 0.0
    image: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Number of encoded features."""
        return len(self.mean) if self.projection is None else self.projection.shape[1]

    def standardise(self, raw: Tensor) -> Tensor:
        """Return raw features, or the histograms of an image, in units of their standard deviation, (b, d)."""
        seen = raw[:, slice(*self.columns)] if self.columns else raw
        seen = compute_edge_histograms(seen, self.image) if self.image else seen
        return (seen - self.mean) / self.scale

    def __call__(self, raw: Tensor) -> Tensor:
        """Encode raw features, (b, d) to (b, width)."""
        encoded = self.standardise(raw)
        if self.landmarks is not None:
            encoded = torch.exp(-self.gamma * compute_squared_distances(encoded, self.landmarks))
        return encoded if self.projection is None else encoded @ self.projection

    def to(self, like: Tensor) -> "FeatureMap":
        """Return the map with the dtype and device of `like`."""
        landmarks = None if self.landmarks is None else self.landmarks.to(like)
        projection = None if self.projection is None else self.projection.to(like)
        return replace(
            self,
            mean=self.mean.to(like),
            scale=self.scale.to(like),
            projection=projection,
            landmarks=landmarks,
        )

    def rotate(self, sample: Tensor) -> "FeatureMap":
        """Return the same map in the basis of the principal components of `sample`, (n, d) raw features."""
        if self.width > ROTATED_WIDTH:
            return self
        encoded = self(sample).double()
        basis = torch.linalg.eigh(encoded.T @ encoded)[1].to(sample)
        return replace(self, projection=basis if self.projection is None else self.projection @ basis)


def compute_squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared Euclidean distances of (n, d) and (m, d) as (n, m), by one matrix product."""
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)


def make_raw_map(
    mean: Tensor, deviation: Tensor, image: tuple[int, ...] = (), *, shared: int = 0
) -> FeatureMap:
    """Return the standardising map.

    Args:
        mean: (d,) mean of each feature.
        deviation: (d,) standard deviation of each feature.
        image: Shape of an image where these are the moments of its histograms.
        shared: How many of the last features have one unit, as directions of texts do. They share one scale, the root mean
            square of their deviations: a direction of little variance stays small and does not become noise. Standardised one
            by one, the last of 149 directions of 150 texts counts as much as the first: average precision .15 instead of 1.00
            on 150 texts, .68 instead of .96 on 300, .86 instead of .96 on 482, and as much on 4,000. The features before them
            get as much variance together as they have: one number beside 200 directions would not be seen (.83 instead of
            .99 where a class is a topic and the sign of a number).
    """
    constant = deviation <= CONSTANT_SHARE * mean.abs().clamp_min(torch.finfo(torch.float32).tiny)
    scale = torch.where(constant, 1.0, deviation)
    if shared:
        alone, together = scale.tensor_split([len(scale) - shared])
        weight = (shared / max(1, len(alone))) ** 0.5
        unit = deviation[-shared:].square().mean().sqrt()
        unit = torch.where(unit > 0, unit, 1.0)  # all texts may be the same
        scale = torch.cat([alone / weight, unit.expand_as(together)])
    return FeatureMap("edges" if image else "raw", mean, scale, image=image)


def make_part_map(standard: FeatureMap, name: str, seen: slice) -> FeatureMap:
    """Return the standardising map that sees some of the features; the others are 0."""
    scale = torch.full_like(standard.scale, torch.inf)
    scale[seen] = standard.scale[seen]
    return replace(standard, name=name, scale=scale)


def make_pca_map(standard: FeatureMap, sample: Tensor, components: int) -> FeatureMap:
    """Return the strongest principal components of raw features of one unit, such as pixels: all are divided by the same scale.

    Args:
        sample: (n, d) raw features to take the directions from.
    """
    seen = sample[:, slice(*standard.columns)] if standard.columns else sample
    spread = seen.std(0).square().mean().sqrt().clamp_min(torch.finfo(sample.dtype).tiny)
    turned = replace(standard, name="pca", scale=spread.expand_as(standard.scale)).rotate(sample)
    if turned.projection is None:  # wider than what can be rotated
        return turned
    return replace(turned, projection=turned.projection[:, -components:])


def make_kernel_map(
    standard: FeatureMap, sample: Tensor, landmarks: int, multiple: float
) -> FeatureMap | None:
    """Return Nyström features of an RBF kernel.

    Args:
        sample: (n, d) raw features to take landmarks from: the first `landmarks` of them, so shuffle before.
        landmarks: m.
        multiple: gamma in multiples of 1 / median squared distance between landmarks (the median heuristic).

    Returns:
        The map, or None where all landmarks coincide and there is no kernel to speak of.
    """
    chosen = standard(sample[:landmarks])
    # In float64 whatever the features are: the projection divides by the square root of small eigenvalues.
    distances = compute_squared_distances(chosen.double(), chosen.double())
    positive = distances[distances > 0]
    if not len(positive):
        return None
    gamma = multiple / float(positive.median())
    values, vectors = torch.linalg.eigh(torch.exp(-gamma * distances))
    kept = values > EIGENVALUE_FLOOR * values[-1]
    projection = (KERNEL_SCALE * vectors[:, kept] / values[kept].sqrt()).to(sample)
    name = f"kernel {multiple:g}" if standard.name == "raw" else f"{standard.name}, kernel {multiple:g}"
    return replace(standard, name=name, projection=projection, landmarks=chosen, gamma=gamma)
