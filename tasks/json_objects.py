"""JSON objects in files that may be missing, damaged, or somebody else's."""

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where the file is missing or damaged.

    >>> read_object(Path("no such file"))
    {}
    """
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; return an empty one where the text is anything else.

    >>> parse_object('{"rows": 10}'), parse_object("[1, 2]"), parse_object("{")
    ({'rows': 10}, {}, {})
    """
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
