"""What a fit leaves in the run folder: members and parameters as safetensors, nothing that can run code, and training curves."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasks.heads.feature_map import FeatureMap
from tasks.heads.members import Member
from tasks.records import EncodedMember
from tasks.storage import make_metadata, open_atomically, parse_metadata, read_parquet, write_table


def save_members(members: Sequence[Member], folder: Path) -> None:
    """Write feature maps, regularisation and starting points, one file for each member."""
    for number, member in enumerate(members):
        feature_map = member.feature_map
        tensors = {"mean": feature_map.mean, "scale": feature_map.scale, "start": member.start}
        tensors |= {"projection": feature_map.projection} if feature_map.projection is not None else {}
        tensors |= {"landmarks": feature_map.landmarks} if feature_map.landmarks is not None else {}
        about = {
            "name": feature_map.name,
            "gamma": repr(feature_map.gamma),
            "image": json.dumps(feature_map.image),
            "l2": repr(member.l2),
            "log_loss": repr(member.log_loss),
        }
        about |= {"columns": json.dumps(feature_map.columns)} if feature_map.columns else {}
        save_tensors(folder / f"member-{number}.safetensors", tensors, about)


def load_members(folder: Path, count: int, like: Tensor) -> list[Member]:
    """Read the first `count` members back, with the dtype and on the device of `like`."""
    members = []
    for number in range(count):
        stored, meta = load_tensors(folder / f"member-{number}.safetensors")
        tensors = {name: tensor.to(like) for name, tensor in stored.items()}
        feature_map = FeatureMap(
            meta["name"],
            tensors["mean"],
            tensors["scale"],
            tensors.get("projection"),
            tensors.get("landmarks"),
            float(meta["gamma"]),
            tuple(json.loads(meta.get("image", "[]"))),
            tuple(json.loads(meta.get("columns", "[]"))),
        )
        members.append(Member(feature_map, float(meta["l2"]), float(meta["log_loss"]), tensors["start"]))
    return members


def describe_members(members: Iterable[Member]) -> tuple[EncodedMember, ...]:
    """Return what the report says of the members."""
    return tuple(
        EncodedMember(name=m.feature_map.name, width=m.feature_map.width, l2=m.l2, log_loss=m.log_loss)
        for m in members
    )


def save_parameters(parameters: Sequence[Tensor], folder: Path, name: str) -> None:
    """Write one tensor for each head under `folder/name-<number>.safetensors`."""
    for number, tensor in enumerate(parameters):
        save_tensors(folder / f"{name}-{number}.safetensors", {name: tensor})


def load_parameters(folder: Path, name: str, heads: int, like: Tensor) -> list[Tensor]:
    """Read what `save_parameters` wrote."""
    files = (folder / f"{name}-{number}.safetensors" for number in range(heads))
    return [load_tensors(file)[0][name].to(like) for file in files]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None) -> None:
    """Write tensors by name, and what is said of them, as safetensors."""
    with open_atomically(path) as partial:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(whole, partial, None if about is None else make_metadata(about))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return tensors, parse_metadata(file.metadata())


def write_curve(rows: Sequence[dict[str, Any]], number: int, path: Path) -> None:
    """Write the points of a round after those of the rounds before; those of a later one, of an earlier try, go.

    Args:
        rows: The points; each has a `round`.
        number: The round, from 1.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "curve.parquet"
    >>> for number in (1, 2, 2):
    ...     write_curve([{"round": number, "loss": 1 / number}], number, path)
    >>> read_parquet(path).to_pylist()
    [{'round': 1, 'loss': 1.0}, {'round': 2, 'loss': 0.5}]
    """
    table = pa.Table.from_pylist(list(rows))
    if number > 1:
        earlier = read_parquet(path)
        table = pa.concat_tables([earlier.filter(pc.less(earlier["round"], number)), table])
    write_table(table, path)
