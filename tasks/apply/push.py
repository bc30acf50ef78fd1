"""A corrected version on the Hugging Face Hub: the user's own files with the corrections, and a card that lists them.

A repository that is not there yet is made, and only its owner sees it; one that is there keeps who sees it. Files of earlier
pushes stay. Where the source brought no card, ours names the files of this version, and the datasets library reads no others.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tasks.apply.layout import find_written
from tasks.apply.moved_images import MOVES
from tasks.apply.version import Version
from tasks.errors import InputError, StoreError, take_first_line
from tasks.show.text import pluralise
from tasks.storage import read_parquet
from tasks.terminal import write_one_line

CARD = "README.md"
_PREFIX = "hub:"
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
# What the datasets library reads without code of ours.
_READABLE = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow")
# A card is read by people: more changes are counted, and `labelsweep diff` lists all.
_MOST = 100


def find_repository(target: str | None, *, sends: bool) -> str | None:
    """Return OWNER/NAME of where a version is to go, before anything is written; None where nothing is to be sent.

    Args:
        sends: Whether something is sent there, which takes the Hub's package and a token.

    Raises:
        InputError: It names no data set of the Hub, its package is not installed, or there is no token.
    """
    if target is None:
        if sends:
            return None
        fix = "add --push hub:OWNER/NAME"
        raise InputError("there is nothing to send without --push", where="--dry-run", fix=fix)
    name = target.removeprefix(_PREFIX)
    if name == target or not _NAME.fullmatch(name):
        fix = "write hub:OWNER/NAME"
        raise InputError(f"'{target}' names no data set of the Hub", where="--push", fix=fix)
    if not sends:
        return name
    try:
        from huggingface_hub import get_token  # noqa: PLC0415 (of an extra)
    except ModuleNotFoundError as error:
        fix = "pip install 'labelsweep[hub]'"
        raise InputError("huggingface_hub is not installed", where="--push", fix=fix) from error
    if not get_token():
        fix = "`hf auth login`, or set HF_TOKEN to a token that may write"
        raise InputError("there is no token for the Hub", where="--push", fix=fix)
    return name


def list_files(version: Version, folder: Path) -> dict[str, Path | bytes]:
    """Return what is sent of a version, by its name there: a card, and the files in the layout of the source, else its own.

    Args:
        folder: The version's folder.
    """
    layout = find_written(folder)
    files: dict[str, Path | bytes] = {}
    if layout is not None:
        inside = (path for path in sorted(layout.rglob("*")) if path.is_file())
        files.update((path.relative_to(layout).as_posix(), path) for path in inside)
    files.pop(MOVES, None)
    card = files.pop(CARD, None)
    if not files:  # a folder of images that nobody asked to copy
        files["dataset.parquet"] = folder / "dataset.parquet"
    head = card.read_text(encoding="utf-8") if isinstance(card, Path) else _begin_card(version, list(files))
    return {CARD: f"{head.rstrip()}\n\n{_describe_changes(version, folder)}".encode(), **files}


def _begin_card(version: Version, files: Sequence[str]) -> str:
    """Return a card's head, which names the files with data; where some are no tables, the library finds them by itself."""
    named = [name for name in files if name.endswith(_READABLE)]
    if named != files:
        return f"# {version.name}\n"
    config = {"config_name": "default", "data_files": [{"split": "train", "path": named}]}
    head = yaml.safe_dump({"configs": [config]}, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n# {version.name}\n"


def _describe_changes(version: Version, folder: Path) -> str:
    """Return the part of a card about what was corrected: counts, and the first of the changes."""
    changes = read_parquet(folder / "changes.parquet").to_pylist()
    rows = [(one["sample_id"], one["old_label"], one["new_label"] or "(dropped)") for one in changes[:_MOST]]
    marked = ([write_one_line(cell).replace("|", "\\|") for cell in row] for row in rows)
    cells = "".join(f"| {' | '.join(row)} |\n" for row in marked)
    left = f"\nand {len(changes) - _MOST:,} more\n" if len(changes) > _MOST else ""
    return (
        f"## Corrected labels\n\nVersion {version.label} of {version.created[:10]}, {pluralise(version.rows, 'sample')}: "
        f"{version.relabeled:,} relabeled, {version.dropped:,} dropped by people who reviewed the queue "
        f"of labelsweep run `{version.run}`. State `{version.state}`.\n\n"
        f"| sample | given label | label now |\n|---|---|---|\n{cells}{left}"
    )


def push_files(files: Mapping[str, Path | bytes], name: str, message: str) -> str:
    """Send files to a data set of the Hub in one commit; return its address.

    Raises:
        InputError: The token may not write there.
        StoreError: The Hub does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi  # noqa: PLC0415 (of an extra)
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

    disable_progress_bars()
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    try:
        api = HfApi(library_name="labelsweep")
        api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        done = api.create_commit(name, operations, commit_message=message, repo_type="dataset")
    except HfHubHTTPError as error:
        what = f"the Hub refused it ({take_first_line(error, 200)})"
        raise InputError(what, where=f"{_PREFIX}{name}", fix="use a token that may write there") from error
    except Exception as error:  # of its HTTP library, which differs between its versions
        what = f"the Hub does not answer ({type(error).__name__}: {take_first_line(error, 200)})"
        fix = "the version is written here; the same command sends it"
        raise StoreError(what, where=f"{_PREFIX}{name}", fix=fix) from error
    return str(done.commit_url)
