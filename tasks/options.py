"""The options of an audit, typed and bounded."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tasks.memory import MemorySize
from tasks.plugins import list_modules
from tasks.records import Record

if TYPE_CHECKING:
    ScoreName: TypeAlias = str
    SolverName: TypeAlias = str
else:  # one file for each: the names are the choices on the command line and in the form of the Prefect UI
    ScoreName = Literal[list_modules(Path(__file__).parent / "attribute" / "scores")]
    SolverName = Literal["auto", *list_modules(Path(__file__).parent / "heads" / "solvers")]
MODELS = list_modules(Path(__file__).parent / "models")
KINDS = list_modules(Path(__file__).parent / "opinions")
# What may drift from the last run, and what follows (`tasks.validate.drift`).
DRIFT_KINDS = ("columns", "types", "classes", "shares", "missing", "ranges", "rows")
DRIFT_EFFECTS = ("off", "warn", "aside", "stop")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def parse_drift(text: str) -> dict[str, str]:
    """Return what follows where each kind of thing drifts from the last run.

    Raises:
        ValueError: A word is not an effect and no KIND=EFFECT.

    >>> parse_drift("stop,ranges=warn")["rows"], parse_drift("stop,ranges=warn")["ranges"]
    ('stop', 'warn')
    """
    found = dict.fromkeys(DRIFT_KINDS, "warn")
    for word in filter(None, (part.strip() for part in text.split(","))):
        kind, given, effect = word.rpartition("=")
        if effect not in DRIFT_EFFECTS or (given and kind not in DRIFT_KINDS):
            raise ValueError(
                f"must be {', '.join(DRIFT_EFFECTS)}, or KIND=EFFECT for one of {', '.join(DRIFT_KINDS)}"
            )
        found |= {kind: effect} if given else dict.fromkeys(DRIFT_KINDS, effect)
    return found


class AuditOptions(Record):
    """What decides the scores, apart from the data.

    >>> AuditOptions(folds=3).rounds
    2
    """

    indifferent: ClassVar[frozenset[str]] = frozenset({"memory", "dask", "controls"})

    model: str = Field(
        "auto",
        description="linear, mlp, cnn (images), or PACKAGE.MODULE:FUNCTION, your own code, which is imported and run "
        "and returns a torch.nn.Module: name only code that you trust; auto is cnn for a thousand images or more on a GPU, "
        "else linear",
    )
    models: Annotated[str | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="kinds of models beside the heads, which always stay, such as heads,trees,lda, or -boosting to leave one "
        f"out: {', '.join(KINDS)} (default: all that suit the data, up to 50,000 samples)",
        json_schema_extra={"metavar": "A,B,…"},
    )
    encoder: str | None = Field(
        None,
        description="turns texts or images into embeddings: a folder of sentence-transformers, transformers or timm, weights "
        "named as torchvision does, or OWNER/NAME on the Hugging Face Hub; only weights are read, but name one that you trust; "
        "none: no encoder at all",
        json_schema_extra={"metavar": "PATH"},
    )
    encoder_minutes: float = Field(
        5.0,
        ge=0,
        description="minutes that an encoder of an extra may take, by the speed of its first samples",
    )
    params: Literal["head", "all"] = Field(
        "head", description="influences on the last linear layer, or on every parameter"
    )
    evaluation: Literal["crossfit", "holdout", "trusted"] = Field(
        "crossfit",
        description="whose loss the influences speak of: every fold in turn, one held-out split, or verified labels",
    )
    folds: int = Field(5, ge=2, le=50, description="folds of crossfit")
    rounds: int = Field(
        2, ge=1, le=5, description="rounds: each later one is fitted without what the earlier one flagged"
    )
    solver: SolverName = Field("auto", description="how the inverse-Hessian-vector product is solved")
    score: ScoreName = Field(
        "consensus",
        description="what orders the queue: relative influence, or its consensus with the log-odds of the label",
    )
    feature_map: Literal["auto", "raw", "kernel"] = Field(
        "auto", description="raw features, kernel features beside them, or the choice by out-of-fold log-loss"
    )
    optimizer: Literal["newton", "adamw"] = Field(
        "newton", description="newton converges; adamw is the theory's example"
    )
    controls: float = Field(
        0.05,
        ge=0,
        le=0.2,
        description="share of labels flipped on purpose in a second audit, to estimate recall and precision of the queue",
    )
    memory: MemorySize = Field(
        None,
        description="memory that features and probabilities may fill, such as 4GB; what does not fit stays on disk "
        "(default: a quarter of the machine)",
        json_schema_extra={"metavar": "SIZE"},
    )
    dask: Annotated[str | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="address of a Dask scheduler whose workers compute sums and scores over parts of the data, "
        "such as tcp://127.0.0.1:8786 (default: this process alone)",
        json_schema_extra={"metavar": "ADDRESS"},
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the tensors live")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of folds, landmarks and initial weights")

    @property
    def own_encoder(self) -> str | None:
        """Path of the user's own encoder; None where they named none."""
        return None if self.encoder == "none" else self.encoder

    @field_validator("model")
    @classmethod
    def _is_a_model(cls, model: str) -> str:
        """Refuse what is neither built in nor names a factory."""
        if model in ("auto", *MODELS) or _FACTORY.fullmatch(model):
            return model
        raise ValueError(f"must be auto, {', '.join(MODELS)} or PACKAGE.MODULE:FUNCTION")

    @field_validator("models")
    @classmethod
    def _are_kinds(cls, models: str | None) -> str | None:
        """Refuse what is not a kind of models, and names beside exclusions."""
        names = [] if models is None else [name.strip() for name in models.split(",")]
        unknown = [
            name for name in names if name.removeprefix("-") not in ("heads", *KINDS) or name == "-heads"
        ]
        if unknown or 0 < sum(name.startswith("-") for name in names) < len(names):
            raise ValueError(f"must name some of heads, {', '.join(KINDS)}, or exclude some, each as -NAME")
        return ",".join(names) or None

    def list_kinds(self) -> tuple[str, ...]:
        """Return the kinds of models that `models` leaves beside the heads.

        >>> AuditOptions(models="heads,trees").list_kinds(), "trees" in AuditOptions(models="-trees").list_kinds()
        (('trees',), False)
        """
        names = [] if self.models is None else self.models.split(",")
        if not names or names[0].startswith("-"):
            return tuple(kind for kind in KINDS if f"-{kind}" not in names)
        return tuple(kind for kind in KINDS if kind in names)

    @field_validator("dask")
    @classmethod
    def _has_parts_to_compute(cls, dask: str | None, info: ValidationInfo) -> str | None:
        """Refuse a cluster for a network: it is trained in one process, and nothing would be sent."""
        model = info.data.get("model", "linear")
        if dask and model not in ("auto", "linear"):
            raise ValueError(f"must be left out with --model {model}, which is trained in one process")
        return dask
