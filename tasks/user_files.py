"""Text and YAML files that a user names: what cannot be read is one line."""

from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InputError


class _SafeLoader(yaml.SafeLoader):
    """YAML whose keys stand once each, and are words: `on` is not a boolean there, as YAML 1.2 has it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' is there twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_user_text(path: Path, fix: str) -> str:
    """Read a text file.

    Args:
        fix: What the user can do where it cannot be read.

    Raises:
        InputError: The file cannot be opened, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"cannot be read ({reason})", where=str(path), fix=fix) from error


def read_user_yaml(path: Path, fix: str) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Read a YAML file.

    Args:
        fix: What the user can do where it cannot be read.

    Raises:
        InputError: The file cannot be opened, or is not YAML.
    """
    text = read_user_text(path, fix)
    try:
        return yaml.load(text, Loader=_SafeLoader)  # noqa: S506 (it is a SafeLoader)
    # PyYAML raises ValueError for a date such as 2024-13-45.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1} is " if mark else ""
        problem = getattr(error, "problem", None) or error
        raise InputError(f"{line}not YAML ({problem})", where=str(path), fix=fix) from error
