"""The options of `labelsweep clean`, read off the parameter model, so that nothing is defined twice."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from flows.config import CleanParameters, split_commas
from tasks.options import AuditOptions

# SOURCE is the argument; an unfinished run is gone on with by naming the `config.yaml` in its folder.
_NOT_OPTIONS = {"source", "resume"}
# An option that may be given more than once.
_REPEATED = CleanParameters.model_fields["pred_probs"].annotation
_METAVARS = {int: "N", float: "X", Path: "PATH"}


def add_parameter_options(run: Callable[..., None]) -> Callable[..., None]:
    """Return `run(values, **rest)` as a function whose signature has an option for each parameter field.

    The fields that were given arrive in `values`, as text: the parameter model reads and bounds them, the same
    for an option and for a line of a configuration file.

    Args:
        run: The command; its keyword-only parameters become options of their own.
    """
    own = [p for p in inspect.signature(run).parameters.values() if p.kind is p.KEYWORD_ONLY]
    fields = {name: field for name, field in CleanParameters.model_fields.items() if name not in _NOT_OPTIONS}
    # The options of the data come first.
    fields = dict(sorted(fields.items(), key=lambda item: item[0] in AuditOptions.model_fields))

    def called(**given: Any) -> None:  # noqa: ANN401 (typed by the signature below)
        rest = {parameter.name: given.pop(parameter.name) for parameter in own}
        run({name: _unwrap_single(value) for name, value in given.items() if value not in (None, [])}, **rest)

    argument = Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE", show_default=False, help=CleanParameters.model_fields["source"].description
        ),
    ]
    hints = {"source": argument} | {name: _annotate_option(name, field) for name, field in fields.items()}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
    ]
    called.__signature__ = inspect.Signature([*parameters, *own])  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in [*parameters, *own]}
    called.__doc__ = run.__doc__
    return called


def _unwrap_single(value: object) -> object:
    """Return an option that was given once as its text, one that was repeated as a list of the names each time."""
    if not isinstance(value, list):
        return value
    return value[0] if len(value) == 1 else [split_commas(one) for one in value]


def _annotate_option(name: str, field: FieldInfo) -> Any:  # noqa: ANN401 (a type form)
    flag = "--" + name.replace("_", "-")
    panel = "Audit" if name in AuditOptions.model_fields else "Data and results"
    text = (field.description or "") + _describe_default(field)
    if field.annotation is bool:
        return Annotated[
            bool | None,
            typer.Option(f"{flag}/--no-{flag[2:]}", help=text, show_default=False, rich_help_panel=panel),
        ]
    named = field.json_schema_extra.get("metavar") if isinstance(field.json_schema_extra, dict) else None
    metavar = str(named) if named else _choose_metavar(field.annotation)
    return Annotated[
        list[str] | None if field.annotation == _REPEATED else str | None,
        typer.Option(
            flag,
            metavar=metavar,
            help=text,
            show_default=False,
            rich_help_panel=panel,
        ),
    ]


def _describe_default(field: FieldInfo) -> str:
    return "" if field.default in (None, False) else f" (default: {field.default})"


def _choose_metavar(annotation: Any) -> str:  # noqa: ANN401 (a type form)
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return _choose_metavar(next(part for part in get_args(annotation) if part is not type(None)))
    if get_origin(annotation) is tuple:
        return "A,B,…"
    return _METAVARS.get(annotation, "TEXT")
