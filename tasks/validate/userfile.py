"""Reading the user's file of expectations: a YAML or JSON list of `{type, kwargs, severity, meta}`.

    - type: expect_column_values_to_be_between
      kwargs: {column: age, min_value: 0}
      severity: critical      # the default: failing rows are set aside; warning and info only report them

A suite that Great Expectations wrote itself is accepted too: its `expectations` are taken.
"""

import json
from pathlib import Path
from typing import Any

from tasks.errors import InputError
from tasks.user_files import read_user_text, read_user_yaml

_EXAMPLE = "{type: expect_column_values_to_be_between, kwargs: {column: age, min_value: 0}}"


def read_entries(path: Path) -> list[Any]:
    """Read the entries of a file of expectations, without judging them yet.

    Raises:
        InputError: The file cannot be read, is not YAML or JSON, or is not a list.
    """
    value = _parse(path)
    if isinstance(value, dict) and isinstance(value.get("expectations"), list):
        value = value["expectations"]
    if not isinstance(value, list) or not value:
        raise InputError(
            "it is not a list of expectations",
            where=str(path),
            fix=f"write a list with entries like {_EXAMPLE}",
        )
    return value


def _parse(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    fix = f"write a list with entries like {_EXAMPLE}"
    if path.suffix.lower() != ".json":
        return read_user_yaml(path, fix)
    text = read_user_text(path, fix)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"line {error.lineno} is not JSON ({error.msg})"
        raise InputError(what, where=str(path), fix="correct the line") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=str(path), fix=fix) from error
