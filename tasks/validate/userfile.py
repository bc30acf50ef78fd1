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

# A thousand expectations take 0.2 MB; YAML of many megabytes takes minutes to parse.
LARGEST_FILE = 2**20
# A JSON schema as an argument nests a few levels; the parser itself crashes at some ten thousand.
_DEEPEST = 50
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
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
        return json.loads(text) if path.suffix.lower() == ".json" else _yaml(text, path)
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


def _yaml(text: str, path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Parse YAML that is what it looks like: no anchors, by which a small file becomes a huge value, no depths."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for token in yaml.scan(text, Loader=loader):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            what = f"line {line}: anchors and aliases (& and *) are not accepted"
            raise InputError(what, where=str(path), fix="write the value out")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEEPEST:
            raise InputError(f"line {line}: it is nested too deep", where=str(path), fix="write a flat list")
    return yaml.load(text, Loader=loader)  # noqa: S506 (a safe loader in either case)
