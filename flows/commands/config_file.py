"""The parameters of a cleaning run as a person gives them: options over a `--config` file, every complaint in one line."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.config import CleanParameters
from tasks.addresses import OUT_VARIABLE
from tasks.errors import InputError, suggest_name
from tasks.runs.request import REQUEST
from tasks.user_files import read_user_yaml

_FIX = "name a YAML file with one `option: value` a line"


def read_config(path: Path) -> dict[str, Any]:
    """Read a `--config` file.

    Raises:
        InputError: The file cannot be read or is not a YAML mapping.
    """
    values = read_user_yaml(path, _FIX)
    if not isinstance(values, dict):
        raise InputError("holds no options", where=str(path), fix=_FIX)
    return {str(key).replace("-", "_"): value for key, value in values.items()}


def merge_options(options: Mapping[str, Any], config: Path | None) -> CleanParameters:
    """Return the parameters of options given on the command line over those of a configuration file.

    The `config.yaml` in the folder of an unfinished run continues with that run; that of a finished run starts
    a new one.

    Raises:
        InputError: Something is missing, unknown or not allowed.
    """
    values = read_config(config) if config else {}
    if "source" not in {*options, *values}:
        raise InputError("no SOURCE given", fix="name a file, a folder, a URL or sample:digits")
    folder = config.absolute().parent if config else None
    is_run = folder is not None and folder.parent.name == "runs" and (folder / REQUEST).is_file()
    if folder is not None and is_run and not (folder / "manifest.json").exists():
        values |= {"resume": folder.name, "out": str(folder.parents[1])}
    if "out" not in values and (out := os.environ.get(OUT_VARIABLE)):
        options = {"out": out, **options}
    return build_parameters(
        {**values, **options}, lambda name: _name_option(name) if name in options else f"{config}: {name}"
    )


def _name_option(name: str) -> str:
    return "SOURCE" if name == "source" else "--" + name.replace("_", "-")


def build_parameters(values: Mapping[str, Any], where: Callable[[str], str]) -> CleanParameters:
    """Make the parameters of `values`, with every complaint in one line.

    Args:
        values: Field name to value, as text or already typed.
        where: Says of a field where its value came from: the option or the file.

    Raises:
        InputError: A value is not allowed, or a name is unknown.

    >>> build_parameters({"source": "cats.csv", "folds": "1"}, lambda name: f"--{name}")
    Traceback (most recent call last):
    tasks.errors.InputError: --folds: must be at least 2, not '1'
    """
    known = sorted(CleanParameters.model_fields)
    for name in values:
        if name not in known:
            raise InputError(f"unknown option '{name}'", where=where(name), fix=suggest_name(name, known))
    try:
        return CleanParameters.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = where(str(first["loc"][0])) if first["loc"] else ""
        raise InputError(_explain_error(first), where=place) from error


def _explain_error(error: Mapping[str, Any]) -> str:
    """Say in plain words what is wrong with one value."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    wanted = {
        "missing": "is missing",
        "string_too_short": "must not be empty",
        "literal_error": f"must be one of {str(context.get('expected')).replace(' or ', ', ')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be more than {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "less_than": f"must be less than {context.get('lt')}",
        "int": "must be a whole number",
        "float": "must be a number",
        "bool": "must be true or false",
        "string": "must be text",
        "path": "must be text",
        "tuple": "must be a list of names",
    }
    line = wanted.get(kind) or wanted.get(kind.split("_")[0]) or error["msg"].removeprefix("Value error, ")
    # What is wrong with several values together names them itself.
    is_whole = kind in ("missing", "string_too_short") or not error["loc"]
    return line if is_whole else f"{line}, not {value!r}"
