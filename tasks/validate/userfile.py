"""Reading the user's file of expectations: a YAML or JSON list of `{type, kwargs, severity, meta}`.

    - type: expect_column_values_to_be_between
      kwargs: {column: age, min_value: 0}
      severity: critical      # the default: failing rows are set aside; warning and info only report them

A suite that Great Expectations wrote itself is accepted too: its `expectations` are taken.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InputError
from tasks.plain_yaml import LARGEST_FILE, parse_yaml

_EXAMPLE = "{type: expect_column_values_to_be_between, kwargs: {column: age, min_value: 0}}"


def read_entries(path: Path) -> list[Any]:
    """Read the entries of a file of expectations, without judging them yet.

    Raises:
        InputError: The file cannot be read, is too large, is not YAML or JSON, uses YAML anchors, or is not a
            list.
    """
    value = _parsed(path)
    if isinstance(value, dict) and isinstance(value.get("expectations"), list):
        value = value["expectations"]
    if not isinstance(value, list) or not value:
        raise InputError(
            "it is not a list of expectations",
            where=str(path),
            fix=f"write a list with entries like {_EXAMPLE}",
        )
    return value


def _parsed(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    text = _text(path)
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else parse_yaml(text, str(path))
    except json.JSONDecodeError as error:
        what = f"line {error.lineno} is not JSON ({error.msg})"
        raise InputError(what, where=str(path), fix="correct the line") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1} is" if mark is not None else "it is"
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{place} not YAML ({problem})", where=str(path), fix="correct the line") from error
    except (RecursionError, ValueError) as error:
        what = f"it cannot be read ({error})"
        raise InputError(what, where=str(path), fix=f"write a list with entries like {_EXAMPLE}") from error


def _text(path: Path) -> str:
    fix = "name a YAML or JSON file"
    try:
        if path.stat().st_size > LARGEST_FILE:
            what = f"it is larger than {LARGEST_FILE // 2**20} MB"
            raise InputError(what, where=str(path), fix="shorten the list of expectations")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot read the expectations ({error.strerror})", where=str(path), fix=fix
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("it is not UTF-8 text", where=str(path), fix=fix) from error
