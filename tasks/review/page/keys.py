"""The keys of the review page, and those that a file of the user's puts in their place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tasks.errors import InputError, list_names
from tasks.user_files import read_user_yaml

KEYS: Final[dict[str, str]] = {
    "keep": "k",
    "suggestion": "s",
    "drop": "d",
    "unsure": "u",
    "undo": "z",
    "previous": "ArrowLeft",
    "next": "ArrowRight",
    "comment": "c",
    "class": "/",
    "similar": "f",
    "open": "o",
    "page": "a",
    "why": "w",
    "overlay": "e",
    "view": "v",
    "find": "t",
    "play": "p",
    "help": "?",
}
_NAMES: Final = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓"}
_FORM: Final = "write lines such as `keep: j`, and under `classes:` lines such as `  cat: q`"

Keys = Mapping[str, str]


def read_keys(path: Path, classes: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the key of each action that the file names, and of each class.

    Args:
        path: A YAML file.

    Raises:
        InputError: It cannot be read, names something unknown, or uses a key twice.
    """
    found = read_user_yaml(path, _FORM)
    if not isinstance(found, dict) or not isinstance(found.get("classes") or {}, dict):
        raise InputError("not a list of keys", where=str(path), fix=_FORM)
    of_classes = {str(name): str(key) for name, key in (found.pop("classes", None) or {}).items()}
    actions = {str(name): str(key) for name, key in found.items()}
    _check_names(actions, list(KEYS), "action", path)
    _check_names(of_classes, classes, "class", path)
    everything = [*(KEYS | actions).values(), *of_classes.values()]
    for key in (*actions.values(), *of_classes.values()):
        if key not in _NAMES and (len(key) != 1 or not key.isprintable() or key.isspace()):
            fix = f"one character, or {', '.join(_NAMES)}"
            raise InputError(f"{key!r} is not a key", where=str(path), fix=fix)
        if everything.count(key) > 1:
            raise InputError(f"key {key!r} means two things", where=str(path), fix="give one another key")
    return actions, of_classes


def _check_names(given: Keys, known: Sequence[str], what: str, path: Path) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        fix = f"it is one of: {list_names(known)}"
        raise InputError(f"no {what} {unknown[0]!r}", where=str(path), fix=fix)


def translate_keys(actions: Keys) -> dict[str, str]:
    """Return which key that the page knows each key of the user's stands for.

    >>> translate_keys({"keep": "j"})
    {'j': 'k'}
    """
    return {key: KEYS[name] for name, key in actions.items() if key != KEYS[name]}


def name_key(key: str) -> str:
    """Return what is written on a key.

    >>> name_key("ArrowLeft"), name_key("k")
    ('←', 'k')
    """
    return _NAMES.get(key, key)
