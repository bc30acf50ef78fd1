"""The typed parameters of a cleaning run.

One model is the form in the Prefect UI, the options of the command, and what a `--config` file may hold.
"""

import csv
import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from flows.source_names import find_dated, make_absolute, read_version_parameters
from tasks.addresses import check_no_secret, check_one_address, make_no_secret_pattern, work_folder
from tasks.encode.encoder_digest import WEIGHTS
from tasks.hub import find_on_hub, is_hub_name
from tasks.options import AuditOptions, parse_drift
from tasks.records import Reask, Source

# Which column means what in the bundled data: its card is data/README.md.
SAMPLES: Mapping[str, Mapping[str, str]] = {
    "sample:digits": {"label": "label", "id": "id", "image": "image", "truth": "true_label"},
}


def _read_empty_as_none(value: object) -> object:
    """Read an empty field of a form as nothing given."""
    return None if value == "" else value


def split_commas(value: object) -> object:
    """Read `a,b,c` as three names; as in a CSV file, quotes around a name keep its commas.

    >>> split_commas('age, "height, cm" ,town')
    ('age', 'height, cm', 'town')
    """
    if not (isinstance(value, str) and value):
        return value
    has_lines = len(value.splitlines()) > 1  # a line break inside a name
    names = value.split(",") if has_lines else next(csv.reader([value], skipinitialspace=True))
    return tuple(name.strip() for name in names)


Column = Annotated[str | None, BeforeValidator(_read_empty_as_none)]
Columns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...] | None,
    BeforeValidator(_read_empty_as_none),
    BeforeValidator(split_commas),
]
_Name = Annotated[str, Field(min_length=1)]
Models = Annotated[
    tuple[_Name | tuple[_Name, ...], ...] | None,
    BeforeValidator(_read_empty_as_none),
    BeforeValidator(split_commas),
]
File = Annotated[Path | None, BeforeValidator(_read_empty_as_none)]


def _arrange_form(schema: dict[str, Any]) -> None:
    """Make the schema a good form: what is swept comes first, how it is audited after it."""
    schema["description"] = "What to sweep, how to audit it, and where the results go."
    fields = schema["properties"]
    for name in ("source", "out", "publish"):  # so that a server refuses a secret before it is stored
        fields[name]["pattern"] = make_no_secret_pattern()
    order = sorted(fields, key=lambda name: name in AuditOptions.model_fields)
    schema["properties"] = {name: fields[name] for name in order}


class CleanParameters(AuditOptions):
    """What to sweep, how to audit it, and where the results go.

    >>> parameters = CleanParameters(source="cats.csv", label="breed", folds=3)
    >>> parameters.make_source().label, parameters.audit_options().folds
    ('breed', 3)
    """

    model_config = ConfigDict(json_schema_extra=_arrange_form)

    source: str = Field(
        min_length=1,
        description="Parquet, CSV, Excel, JSON or Arrow file, a folder or .zip of them, an fsspec URL, a query such as "
        "postgresql://host/pets?query=SELECT ..., or sample:digits; {date} in it stands for the newest date: pets-{date}.csv",
    )
    label: Column = Field(
        None,
        description="column of the given labels (default: the one called label, or another obvious name)",
    )
    id: Column = Field(None, description="column that identifies a sample (default: a hash of its content)")
    features: Columns = Field(
        None,
        description="columns to learn from (default: every number, boolean, date, and text of few different values)",
    )
    embedding: Column = Field(
        None, description="column of embeddings of one length: lists of numbers, or text such as [0.1, 0.2]"
    )
    image: Column = Field(
        None,
        description="column of images: bytes, paths or addresses of files, base64, or lists or text of pixels",
    )
    text: Column = Field(None, description="column of texts: sentences, reviews, tickets, of any length")
    pred_probs: Models = Field(
        None,
        description="out-of-fold probabilities of your model: a column of lists, one column a class, or of one of two classes; "
        "repeat it for several models (in a file: a list of lists)",
    )
    raters: Columns = Field(
        None,
        description="columns of several raters' labels: their majority is the given label (instead of --label)",
    )
    trusted: Column = Field(None, description="boolean column: this label has been verified")
    truth: Column = Field(None, description="column of the true labels: scores the queue, never computes it")
    group: Column = Field(
        None,
        description="column that says which rows belong together (patient, session, video, author): all of a group are in the "
        "same fold (default: near-duplicates share a fold)",
    )
    encoding: Column = Field(
        None, description="encoding of a text file, such as cp1252 or utf-16 (default: detected)"
    )
    missing: Columns = Field(
        None, description="more marks for a missing value, such as NA,? or -999 (default: empty fields)"
    )
    name: Column = Field(
        None, description="name of the data set in run ids and lists (default: from the source)"
    )
    expectations: File = Field(
        None,
        description="YAML or JSON file of your own Great Expectations expectations, or a suite that Great Expectations 1.x "
        "wrote, with the names of your columns; critical ones set rows aside, warning and info only report",
    )
    drift: str = Field(
        "warn",
        description="what to do when columns, types, classes, shares, missing, ranges or rows differ from the last run: off, "
        "warn, aside (the rows) or stop, for all or as KIND=EFFECT, such as stop,ranges=warn",
        json_schema_extra={"metavar": "EFFECT"},
    )
    drift_tolerance: float = Field(
        0.2,
        ge=0,
        le=10,
        description="share by which rows and ranges may change from run to run; shares of classes and of missing values may "
        "change by half of it",
    )
    tolerance: float = Field(
        0.2, ge=0, le=1, description="largest share of rows that validation may set aside"
    )
    data_docs: bool = Field(default=False, description="write Great Expectations' Data Docs too")
    max_queue: int | None = Field(
        None, ge=1, description="longest queue, worst samples first (default: everything flagged)"
    )
    min_queue: int = Field(
        0,
        ge=0,
        description="shortest queue: if fewer samples are flagged, the most doubtful others are added, marked as not flagged",
    )
    reask: Reask = Field(
        "content",
        description="when to ask again about a row that people have decided on: when its label or its content changed, when "
        "its label changed (with --id), or never",
    )
    out: Path = Field(
        Path("data"), description="folder of the results, or an s3:// address; else what LABELSWEEP_OUT says"
    )
    publish: Column = Field(
        None,
        description="address that each finished run is copied to, such as s3://bucket/prefix (the same as --out with "
        "such an address, which works in a local folder)",
    )
    track: Column = Field(
        None, description="experiment tracker that each finished run is logged to: mlflow or wandb"
    )
    metrics: File = Field(None, description="file for the figures of the last sweep, as OpenMetrics")
    wait: float = Field(
        0,
        ge=0,
        description="seconds to wait for another run of the same data set to end (default: do not wait)",
    )
    gpu_deployment: Column = Field(
        None,
        description="deployment that fits on a worker of the gpu pool: fit/gpu (default: fit in this process)",
    )
    gpu_timeout: float = Field(
        600, gt=0, description="seconds to wait for a worker of the gpu pool to pick up the fit"
    )
    force: bool = Field(
        default=False, description="run even if nothing changed, and reuse nothing of earlier runs"
    )
    max_noise: float | None = Field(
        None,
        ge=0,
        le=1,
        description="fail (exit code 4) if a larger share of the labels is wrong, by the lower end of its interval",
    )
    wait_for_review: bool = Field(
        default=False,
        description="pause when the queue is written, until somebody answers in the Prefect UI; needs a Prefect server",
    )
    review_timeout: float = Field(
        7 * 24 * 3600, gt=0, description="seconds that the review may take while the run is paused"
    )
    resume: Column = Field(
        None,
        description="id of an unfinished run in the results folder, to resume instead of starting again",
    )

    @field_validator("source", "out", "publish", mode="before")
    @classmethod
    def _keep_secrets_out(cls, value: Any) -> Any:  # noqa: ANN401 (whatever the user sent)
        check_no_secret(str(value))
        return value

    @field_validator("drift")
    @classmethod
    def _check_effects(cls, value: str) -> str:
        """Check that each word is an effect, or one of a kind of drift."""
        parse_drift(value)
        return value

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str | None) -> str | None:
        """Check that Python reads text in this encoding."""
        try:
            "".encode(value or "utf-8")
        except LookupError as error:
            raise ValueError("names no encoding of text; try utf-8, cp1252 or utf-16") from error
        return value

    @model_validator(mode="after")
    def _check_queue(self) -> "CleanParameters":
        """Check that the shortest queue is no longer than the longest one."""
        if self.max_queue is not None and self.min_queue > self.max_queue:
            raise ValueError(f"--min-queue {self.min_queue} is more than --max-queue {self.max_queue}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _choose_local_folder(cls, values: Any) -> Any:  # noqa: ANN401 (whatever the user sent)
        """Work in a local folder where results go to an object store; an empty field is none."""
        out = str(values.get("out") or "") if isinstance(values, Mapping) else ""
        if isinstance(values, Mapping) and not out:
            return {name: value for name, value in values.items() if name != "out"}
        if "://" in out:
            check_one_address(out, str(values.get("publish") or out))
            values = {**values, "out": work_folder(out), "publish": out}
        return values

    @model_validator(mode="before")
    @classmethod
    def _fill_known_columns(cls, values: Any) -> Any:  # noqa: ANN401 (whatever the user sent)
        """Find the newest of dated files; name the columns of bundled data and of corrected versions, unless the user did."""
        if not isinstance(values, Mapping):
            return values
        source = str(values.get("source"))
        known = find_dated(source) or SAMPLES.get(source) or read_version_parameters(source)
        if not known:
            return values
        given = {name: value for name, value in values.items() if value not in (None, "")}
        return {**known, **given, "source": known.get("source", source)}

    @model_validator(mode="before")
    @classmethod
    def _choose_score(cls, values: Any) -> Any:  # noqa: ANN401 (whatever the user sent)
        """Order the queue by what several models say of the label, unless the user named a score."""
        named = values.get("pred_probs") if isinstance(values, Mapping) else None
        several = (
            isinstance(named, list | tuple) and len(named) > 1 and not all(isinstance(n, str) for n in named)
        )
        return {"score": "confidence", **values} if several else values

    @property
    def results_as_named(self) -> str:
        """Folder or address of the results as the user named it."""
        at_address = self.publish and self.out == work_folder(self.publish)
        return str(self.publish) if at_address else str(self.out)

    @property
    def results(self) -> str:
        """Folder or address of the results, as a person names it from anywhere."""
        named = self.results_as_named
        return named if "://" in named else str(self.out.absolute())

    def replace_results(self, out: str) -> "CleanParameters":
        """Return the parameters with results in another folder or at another address."""
        if out == self.results_as_named:
            return self
        return CleanParameters.model_validate({**self.model_dump(), "out": out})

    def make_source(self) -> Source:
        """Return what the ingest step reads, with the path of a local file made absolute."""
        columns = {name: getattr(self, name) for name in Source.model_fields.keys() & type(self).model_fields}
        return Source(uri=make_absolute(self.source), **columns)

    def audit_options(self) -> AuditOptions:
        """Return what the encode, fit, attribute and flag steps read."""
        return AuditOptions(**{name: getattr(self, name) for name in AuditOptions.model_fields})

    @field_validator("encoder")
    @classmethod
    def _find_the_encoder(cls, value: str | None) -> str | None:
        """Make the path of a model absolute; a wrong one is told before any data are read."""
        if not value or value == "none":
            return value or None
        if is_hub_name(value):
            return str(find_on_hub(value))
        if not (Path(value) / "config.json").is_file() and Path(value).suffix not in WEIGHTS:
            raise ValueError(
                "must be a folder with a model in it (config.json), or a file of torchvision's weights"
            )
        if not Path(value).exists():
            raise ValueError("names no file")
        return str(Path(value).absolute())

    def write_replayable(self) -> str:
        """Return the parameters as YAML that replays the run from any working directory."""
        values = self.model_dump(mode="json", exclude={"resume"})
        values = {"source": make_absolute(values.pop("source"))} | values | {"out": str(self.out.absolute())}
        if self.expectations is not None:
            values["expectations"] = str(self.expectations.absolute())
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)

    @property
    def short_name(self) -> str:
        """Short name of the data set, in run ids, reports and versions: that which the user gave, or that of the source.

        >>> CleanParameters(source="My cats.csv").short_name, CleanParameters(source="a.csv", name="Pets").short_name
        ('my-cats', 'pets')
        """
        from tasks.ingest.source import make_short_name  # noqa: PLC0415 (only a run needs it)

        return make_short_name(make_absolute(self.source), self.name)

    @property
    def data_set(self) -> str:
        """What tells the data set from every other: its short name, and where none was given, its address too.

        >>> CleanParameters(source="a.csv", name="pets").data_set, CleanParameters(source="sample:digits").data_set
        ('pets', 'digits-1e9935')
        """
        address = hashlib.sha256(make_absolute(self.source).encode()).hexdigest()[:6]
        return self.short_name if self.name else f"{self.short_name}-{address}"

    @property
    def title(self) -> str:
        """Name of a run as Prefect's list shows it, another one each time: the data set, the time, four digits."""
        return f"{self.short_name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S} {secrets.token_hex(2)}"
