"""`datasets.yaml`: all data sets that are swept on a schedule, one entry each.

    defaults:                       # for every entry that does not say otherwise
      schedule: "0 2 * * *"
      timezone: Europe/Berlin
    datasets:
      pets:
        source: exports/pets-{date}.csv
        label: species
        id: pet_id
        owner: ada@example.org
        gate: 0.1                   # fail where more labels are wrong
        notify: {block: slack-webhook/team, on: [flagged, failed]}

Beside schedule, timezone, pool, owner, gate, notify and paused, an entry has the options of `labelsweep clean`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from flows.commands.config_file import build_parameters
from flows.config import CleanParameters
from tasks.errors import InputError, suggest_name
from tasks.ingest.source import make_short_name
from tasks.queries import make_query_absolute
from tasks.records import Record
from tasks.user_files import read_user_yaml

FILE = "datasets.yaml"
_FIX = (
    "write `datasets:` with one entry a data set, such as `pets: {source: exports/pets.csv, label: species}`"
)
# Deployments that `prefect.yaml` makes.
_TAKEN = ("nightly", "on-demand")


class Notify(Record):
    """Whom a data set tells of what, by a notification block of Prefect.

    Attributes:
        block: Type and name of the block, such as `slack-webhook/team`: the address in it is a secret, and stays on the server.
    """

    block: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    on: tuple[Literal["flagged", "failed", "crashed"], ...] = ("failed", "crashed")


class Operation(Record):
    """How a data set is run, apart from what a sweep of it finds.

    Attributes:
        schedule: Cron expression; None is swept when somebody asks for it.
        gate: Largest share of wrong labels that passes.
        paused: Whether the schedule rests; None leaves that to the switch in Prefect's UI.
    """

    schedule: str | None = None
    timezone: str = "UTC"
    pool: str = "cpu"
    owner: str = ""
    gate: float | None = Field(None, ge=0, le=1)
    notify: Notify | None = None
    paused: bool | None = None

    @field_validator("notify", mode="before")
    @classmethod
    def _read_block_name(cls, value: object) -> object:
        return {"block": value} if isinstance(value, str) else value


class DataSet(Record):
    """One entry of the list: its name, how it is run, and the options of its sweeps as the user wrote them."""

    name: str
    operation: Operation
    options: dict[str, Any]

    def make_parameters(self) -> CleanParameters:
        """Return what its sweeps are asked for."""
        return CleanParameters.model_validate(self.options)


def read_list(path: Path) -> list[DataSet]:
    """Read the list of data sets.

    Raises:
        InputError: The file cannot be read, or an entry is wrong; says which, and what to do.
    """
    content = read_user_yaml(path, _FIX)
    entries = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(entries, dict):
        raise InputError("lists no data sets", where=str(path), fix=_FIX)
    for key in content.keys() - {"datasets", "defaults"}:
        raise InputError(f"unknown key '{key}'", where=str(path), fix="choose datasets or defaults")
    defaults = content.get("defaults") or {}
    for name, entry in (*entries.items(), ("defaults", defaults)):
        if not isinstance(entry, dict):
            raise InputError("is not a mapping of options", where=f"{path}: {name}", fix=_FIX)
    found = [_read_entry(str(name), _fill_in(defaults, entry), path) for name, entry in entries.items()]
    known: dict[str, str] = {}
    for one in found:
        if (other := known.setdefault(key := one.make_parameters().data_set, one.name)) != one.name:
            fix = f"leave out `name`: '{other}' has the same"
            raise InputError(f"another data set is called '{key}'", where=f"{path}: {one.name}", fix=fix)
    return found


def _fill_in(defaults: Mapping[Any, Any], entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an entry with the defaults for what it does not say; `gate` is another word for the option `max_noise`."""
    ours, own = ({str(key).replace("-", "_"): one[key] for key in one} for one in (defaults, entry))
    if {"gate", "max_noise"} & own.keys():
        ours = {key: value for key, value in ours.items() if key not in ("gate", "max_noise")}
    return ours | own


def _read_entry(name: str, values: Mapping[str, Any], path: Path) -> DataSet:
    where = f"{path}: {name}"
    if name != make_short_name("", name) or name in _TAKEN:
        fix = (
            f"call it '{make_short_name('', name)}'"
            if name not in _TAKEN
            else "that is a deployment of prefect.yaml"
        )
        raise InputError(f"'{name}' cannot be the name of a data set", where=where, fix=fix)
    for key in values:
        if key not in (known := [*Operation.model_fields, *CleanParameters.model_fields]):
            raise InputError(f"unknown option '{key}'", where=where, fix=suggest_name(key, known))
    try:
        operation = Operation.model_validate(
            {key: value for key, value in values.items() if key in Operation.model_fields}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{first['msg'][:1].lower()}{first['msg'][1:]}, not {first['input']!r}"
        raise InputError(what, where=f"{where}: {place}") from error
    options = {key: value for key, value in values.items() if key not in Operation.model_fields}
    if "source" not in options:
        raise InputError("no source", where=where, fix="add a line such as source: exports/pets.csv")
    options = {"name": name, **options, "source": _resolve_beside(path, str(options["source"]))}
    for option in ("expectations", "metrics"):
        if options.get(option):
            options[option] = _resolve_beside(path, str(options[option]))
    encoder = path.absolute().parent / str(options.get("encoder") or "none")
    if encoder.exists():  # else it is a name of the Hub
        options["encoder"] = str(encoder)
    if operation.gate is not None:
        options["max_noise"] = operation.gate
    build_parameters(options, lambda option: f"{where}: {option}")
    return DataSet(name=name, operation=operation, options=options)


def _resolve_beside(path: Path, source: str) -> str:
    """Return a source or file as it is named from anywhere: a relative path starts at the folder of the list."""
    folder = path.absolute().parent
    if "://" in source:
        return make_query_absolute(source, folder)
    return source if source.startswith("sample:") else str(folder / source)
