"""The user's own expectations, each checked for what it names before any data is looked at.

A file of them is a YAML or JSON list of `{type, kwargs, severity, meta}`:

    - type: expect_column_values_to_be_between
      kwargs: {column: age, min_value: 0}
      severity: critical      # the default: failing rows are set aside; warning and info only report them

A suite that Great Expectations wrote itself is accepted too: its `expectations` are taken.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import InputError, suggest_name
from tasks.user_files import read_user_text, read_user_yaml
from tasks.validate.checks import Check, Scope

_ENTRY = "write a list with entries like {type: expect_column_values_to_be_between, kwargs: {column: age, min_value: 0}}"
_SHOWN_KEYS = ("type", "kwargs", "severity", "meta")
# What Great Expectations itself writes into a suite besides; it decides nothing here.
_OTHER_KEYS = ("id", "notes", "description", "rendered_content")
_SEVERITIES = ("critical", "warning", "info")
_DATABASE_ONLY = (
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
)
# Arguments that say how an expectation is run; that is decided here.
_RESERVED = ("batch_id", "catch_exceptions", "result_format", "windows", "severity", "meta", *_OTHER_KEYS)
# These ask which columns exist: the columns that they name need not.
_ABOUT_COLUMNS = ("expect_column_to_exist", "expect_table_column")
# These compare a row with other rows, or look at the type of a whole column: one part does not do.
_WHOLE_COLUMN = (
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_unique",
    "expect_column_values_to_not_be_outliers",
    "expect_compound_columns_to_be_unique",
)
_BY_ROW = ("expect_column_value", "expect_column_pair_values", "expect_multicolumn", "expect_select")
# Row conditions as Great Expectations 1.x exports what was built of its `Column`.
_CONDITIONS = ("comparison", "nullity", "and", "or", "pass_through")
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")


def read_user_checks(path: Path, columns: Sequence[str]) -> list[Check]:
    """Return the checks of a file of expectations.

    Args:
        path: A YAML or JSON file.

    Raises:
        InputError: The file or an entry is wrong; names the entry, and the nearest name where one is unknown.
    """
    return [
        _check(entry, f"{path}, entry {number}", columns)
        for number, entry in enumerate(read_entries(path), 1)
    ]


def read_entries(path: Path) -> list[Any]:
    """Read the entries of a file of expectations, without judging them yet.

    Raises:
        InputError: The file cannot be read, is not YAML or JSON, or is not a list.
    """
    if path.suffix.lower() != ".json":
        value = read_user_yaml(path, _ENTRY)
    else:
        text = read_user_text(path, _ENTRY)
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            what = f"line {error.lineno} is not JSON ({error.msg})"
            raise InputError(what, where=str(path), fix="correct the line") from error
        except (RecursionError, ValueError) as error:
            raise InputError(f"cannot be read ({error})", where=str(path), fix=_ENTRY) from error
    if isinstance(value, dict):
        value = value.get("expectations")
    if not isinstance(value, list) or not value:
        raise InputError("it is not a list of expectations", where=str(path), fix=_ENTRY)
    return value


def _check(entry: object, where: str, columns: Sequence[str]) -> Check:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise InputError("it has no type", where=where, fix="write {type: expect_…, kwargs: {column: …}}")
    for name in entry:
        if name not in _SHOWN_KEYS and name not in _OTHER_KEYS:
            raise InputError(f"unknown key '{name}'", where=where, fix=suggest_name(str(name), _SHOWN_KEYS))
    kind = _read_kind(entry["type"], where)
    number, where = where.rpartition(" ")[2], f"{where} ({kind})"
    kwargs = _read_arguments(kind, entry.get("kwargs"), where)
    named = _list_named_columns(kind, kwargs, columns, where)
    conditions: tuple[str, ...] = ()
    if kwargs.get("row_condition") is not None:
        kwargs, conditions = _read_condition(kwargs, columns, where)
    severity, meta = str(entry.get("severity") or "critical").lower(), entry.get("meta") or {}
    if severity not in _SEVERITIES:
        fix = f"choose one of: {', '.join(_SEVERITIES)}"
        raise InputError(f"unknown severity '{severity}'", where=where, fix=fix)
    if not isinstance(meta, dict):
        raise InputError("meta is not a mapping", where=where, fix="write meta: {name: value}")
    try:
        return Check(
            key=f"expectation {number}",
            kind=kind,
            kwargs=kwargs,
            scope=_choose_scope(kind),
            columns=named,
            also_reads=conditions,
            severity=severity,
            meta=meta,
            entry=where,
        )
    except KeyError as error:  # Great Expectations would miss it only when it is run
        what = f"the argument {error} is missing"
        raise InputError(what, where=where, fix="add it to its kwargs") from error
    except (ValueError, TypeError) as error:
        what = f"its arguments are wrong: {_describe_first_problem(error)}"
        raise InputError(what, where=where, fix="correct its kwargs") from error


def _read_kind(name: str, where: str) -> str:
    """Return the expectation's type; its class name is accepted too, as Great Expectations' pages write it."""
    from great_expectations.expectations import registry  # noqa: PLC0415 (2 s)

    kinds = sorted(registry.list_registered_expectation_implementations())
    kind = name if "_" in name else re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    if kind not in kinds:
        raise InputError(f"unknown expectation '{name}'", where=where, fix=suggest_name(kind, kinds))
    if kind in _DATABASE_ONLY:
        raise InputError(f"'{kind}' needs a database", where=where, fix="use an expectation about columns")
    return kind


def _read_arguments(kind: str, kwargs: object, where: str) -> dict[str, Any]:
    from great_expectations.expectations.registry import get_expectation_impl  # noqa: PLC0415 (2 s)

    if kwargs is None:
        return {}
    if not isinstance(kwargs, dict):
        raise InputError("kwargs is not a mapping", where=where, fix="write kwargs: {column: …}")
    known = [name for name in get_expectation_impl(kind).__fields__ if name not in _RESERVED]
    for name, value in kwargs.items():
        if name not in known:
            raise InputError(
                f"'{name}' is not an argument of it", where=where, fix=suggest_name(str(name), known)
            )
        if isinstance(value, dict) and "$PARAMETER" in value:
            raise InputError(f"'{name}' is a suite parameter", where=where, fix="write its value")
    return dict(kwargs)


def _list_named_columns(
    kind: str, kwargs: dict[str, Any], columns: Sequence[str], where: str
) -> tuple[str, ...]:
    if kind.startswith(_ABOUT_COLUMNS):
        return ()
    named: list[str] = []
    for argument in _COLUMN_ARGUMENTS:
        value = kwargs.get(argument)
        named.extend(value if isinstance(value, list) else [] if value is None else [value])
    return _check_names(named, columns, where, "to check")


def _check_names(named: Iterable[str], columns: Sequence[str], where: str, wanted: str) -> tuple[str, ...]:
    """Return the names, each once.

    Raises:
        InputError: One of them is no column.
    """
    for name in named:
        if name not in columns:
            what = f"there is no column '{name}' {wanted}"
            raise InputError(what, where=where, fix=suggest_name(str(name), columns))
    return tuple(dict.fromkeys(named))


def _read_condition(
    kwargs: dict[str, Any], columns: Sequence[str], where: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments with their row condition as it is run, and the columns that it names."""
    condition = kwargs["row_condition"]
    if isinstance(condition, dict) and condition.get("type") == "pass_through":
        condition = condition.get("pass_through_filter")
    if not isinstance(condition, dict):
        named = _list_condition_columns(condition, columns, where)
        return kwargs | {"row_condition": condition, "condition_parser": "pandas"}, named
    # It names columns and values, and calls nothing.
    if condition.get("type") not in _CONDITIONS:
        fix = f"write a comparison, or one of type {', '.join(_CONDITIONS)}"
        raise InputError("row_condition is not text, and no exported condition", where=where, fix=fix)
    named = _check_names(list(_list_condition_names(condition)), columns, where, "for its row_condition")
    return {name: value for name, value in kwargs.items() if name != "condition_parser"}, named


def _list_condition_names(condition: object) -> Iterator[str]:
    """Yield the columns that an exported condition names."""
    if isinstance(condition, list):
        for part in condition:
            yield from _list_condition_names(part)
    elif isinstance(condition, dict):
        if isinstance(column := condition.get("column"), dict):
            yield str(column.get("name"))
        yield from _list_condition_names(condition.get("conditions", []))


def _list_condition_columns(condition: object, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the columns of a row condition that only compares; pandas would also call functions in it.

    >>> _list_condition_columns("age > 3 and `given name` == 'x'", ["age", "given name"], "e.yaml")
    ('age', 'given name')
    """
    fix = "compare columns with values, such as: age >= 18 and country == 'DE'"
    if not isinstance(condition, str):
        raise InputError("row_condition is not text", where=where, fix=fix)
    quoted = re.findall(r"`([^`]*)`", condition)
    try:
        tree = ast.parse(re.sub(r"`[^`]*`", "True", condition.strip()), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"row_condition cannot be read: {condition}", where=where, fix=fix) from error
    beyond = (ast.Call, ast.Attribute, ast.Subscript, ast.Lambda, ast.MatMult, ast.NamedExpr)
    if "@" in condition or any(isinstance(node, beyond) for node in ast.walk(tree)):
        raise InputError(f"row_condition does more than compare: {condition}", where=where, fix=fix)
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)] + quoted
    return _check_names(names, columns, where, "for its row_condition")


def _choose_scope(kind: str) -> Scope:
    if kind.startswith(_ABOUT_COLUMNS):
        return "columns"
    return "rows" if kind.startswith(_BY_ROW) and kind not in _WHOLE_COLUMN else "table"


def _describe_first_problem(error: Exception) -> str:
    """Return what pydantic found first, with the argument's name."""
    found = error.errors() if hasattr(error, "errors") else []
    if not found:
        return str(error).splitlines()[0]
    place = ".".join(str(part) for part in found[0]["loc"] if part != "__root__")
    return f"{place}: {found[0]['msg']}" if place else str(found[0]["msg"])
