"""Feature maps on disk: one safetensors file for each member of the ensemble; nothing that can run code."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.heads.feature_map import FeatureMap
from tasks.heads.members import Member
from tasks.records import EncodedMember, Encoding, FeatureFile
from tasks.storage import as_metadata, atomic_path, said_in


def save_encoding(members: list[Member], features: FeatureFile, folder: Path) -> Encoding:
    """Write the ensemble's feature maps and starting points.

    Args:
        members: The ensemble.
        features: The file of the raw features.
        folder: Where to write; one file for each member.
    """
    for number, member in enumerate(members):
        feature_map = member.feature_map
        tensors = {"mean": feature_map.mean, "scale": feature_map.scale, "start": member.start}
        tensors |= {"projection": feature_map.projection} if feature_map.projection is not None else {}
        tensors |= {"landmarks": feature_map.landmarks} if feature_map.landmarks is not None else {}
        with atomic_path(folder / f"member-{number}.safetensors") as path:
            save_file(
                {name: tensor.contiguous().cpu() for name, tensor in tensors.items()},
                path,
                as_metadata(
                    {
                        "name": feature_map.name,
                        "gamma": repr(feature_map.gamma),
                        "image": json.dumps(feature_map.image),
                        "l2": repr(member.l2),
                        "log_loss": repr(member.log_loss),
                    }
                ),
            )
    records = tuple(
        EncodedMember(name=m.feature_map.name, width=m.feature_map.width, l2=m.l2, log_loss=m.log_loss)
        for m in members
    )
    return Encoding(path=folder, features=features, members=records)


def load_encoding(encoding: Encoding, like: Tensor) -> list[Member]:
    """Read the ensemble back, with the dtype and on the device of `like`."""
    members = []
    for number in range(len(encoding.members)):
        with safe_open(encoding.path / f"member-{number}.safetensors", framework="pt") as file:
            meta = said_in(file.metadata())
            tensors = {name: file.get_tensor(name).to(like) for name in file.keys()}  # noqa: SIM118 (not a dict)
        feature_map = FeatureMap(
            meta["name"],
            tensors["mean"],
            tensors["scale"],
            tensors.get("projection"),
            tensors.get("landmarks"),
            float(meta["gamma"]),
            tuple(json.loads(meta.get("image", "[]"))),
        )
        members.append(Member(feature_map, float(meta["l2"]), float(meta["log_loss"]), tensors["start"]))
    return members


def save_parameters(parameters: list[Tensor], folder: Path, name: str) -> None:
    """Write one tensor for each member under `folder/name-<number>.safetensors`."""
    for number, tensor in enumerate(parameters):
        with atomic_path(folder / f"{name}-{number}.safetensors") as path:
            save_file({name: tensor.contiguous().cpu()}, path)


def load_parameters(folder: Path, name: str, members: int, like: Tensor) -> list[Tensor]:
    """Read what `save_parameters` wrote."""
    tensors = []
    for number in range(members):
        with safe_open(folder / f"{name}-{number}.safetensors", framework="pt") as file:
            tensors.append(file.get_tensor(name).to(like))
    return tensors
