"""What the datasets library keeps beside its data: names, features, and how many rows each split has."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.ingest.source import Part

if TYPE_CHECKING:
    from tasks.apply.layout import SourceLayout

STATE = "state.json"


def read_file_beside(part: Part, name: str) -> bytes | None:
    """Return a file that is beside a part, None where there is none."""
    try:
        return part.read_beside(name)
    except FileNotFoundError:
        return None


def write_cards(layout: "SourceLayout", left: Mapping[str, int], state: str, folder: Path) -> None:
    """Write what the datasets library keeps beside the data: what they are called, and how many rows each split has."""
    inside: dict[str, Part] = {"": layout.root()}
    counts: dict[str, int] = defaultdict(int)
    for part in layout.parts:
        name = layout.make_relative(part)
        step, _, file = name.rpartition("/")
        inside.setdefault(step, part)
        counts[step.rsplit("/", 1)[-1]] += left[name]
        if part.kind == "parquet":
            counts[file.split("-")[0].split(".")[0]] += left[name]
    for step, part in inside.items():
        for name, change in (
            ("dataset_dict.json", lambda text: text),
            (STATE, lambda text: _change_fingerprint(text, state)),
            ("dataset_info.json", lambda text: _update_info(text, counts)),
            ("README.md", lambda text: _update_card(text, counts)),
        ):
            found = read_file_beside(part, name)
            if found is not None:
                (folder / step / name).write_text(change(found.decode()), encoding="utf-8")


def _change_fingerprint(text: str, state: str) -> str:
    """Return the state of a saved data set under another fingerprint: the library caches results under it."""
    found = json.loads(text)
    both = f"{found.get('_fingerprint')} {state}"
    return json.dumps(found | {"_fingerprint": hashlib.sha256(both.encode()).hexdigest()[:16]}, indent=2)


def _update_info(text: str, counts: Mapping[str, int]) -> str:
    found = json.loads(text)
    splits = found.get("splits") or {}
    for name, split in splits.items():
        _count(split, name, counts, len(splits))
    return json.dumps(found, indent=2)


def _update_card(text: str, counts: Mapping[str, int]) -> str:
    """Return a data set card whose counts are those of the corrected data: the library compares them."""
    if not text.startswith("---\n") or "\n---" not in text[4:]:
        return text
    head, _, rest = text[4:].partition("\n---")
    said = yaml.safe_load(head)
    infos = (said or {}).get("dataset_info") if isinstance(said, dict) else None
    if not infos:
        return text
    for info in infos if isinstance(infos, list) else [infos]:
        splits = info.get("splits") or []
        for split in splits:
            _count(split, split.get("name"), counts, len(splits))
        for size in ("download_size", "dataset_size"):
            info.pop(size, None)
    return f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True)}---{rest}"


def _count(split: dict[str, Any], name: object, counts: Mapping[str, int], splits: int) -> None:
    """Set how many rows a split has, and forget the sizes that the files no longer have."""
    rows = counts.get(str(name), max(counts.values()) if splits == 1 else None)
    if rows is not None:
        split["num_examples"] = rows
        for size in ("num_bytes", "shard_lengths"):
            split.pop(size, None)
