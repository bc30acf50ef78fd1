"""The records that pass between steps: paths, counts and digests, never a frame or a tensor.

Every record is a small frozen model, so that each arrow between two steps is a file: to look at, to resume from, to send.
"""

from pathlib import Path
from typing import ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

Payload = Literal["tabular", "embedding", "image", "text"]
ColumnKind = Literal["number", "boolean", "date", "category", "text"]

# Columns of `scores.parquet`, and those that the queue has beside the sample's own: none of the user's keeps such a name.
SCORE_COLUMNS = (
    "sample_id",
    "given_label",
    "suggested_label",
    "influence",
    "influence_raw",
    "score",
    "relabel_gain",
    "given_probability",
    "suggested_probability",
    "flagged",
    "n_folds",
    "predicted_label",
    "predicted_probability",
    "conflict",
)
QUEUE_COLUMNS = ("rank", *SCORE_COLUMNS, "seen", "reason", "evidence", "run")
# What a person fills in, in the queue as CSV or Excel workbook.
DECISION_COLUMNS = ("decision", "new_label")
Verdict = Literal["keep", "relabel", "drop", "unsure"]
VERDICTS: tuple[str, ...] = get_args(Verdict)
# What has to change of a row that people have decided on for it to be asked again.
Reask = Literal["content", "label", "never"]


class Record(BaseModel):
    """A frozen record; unknown fields are refused.

    `indifferent` names fields that never decide what comes out: with other values of them a step need not be done again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    indifferent: ClassVar[frozenset[str]] = frozenset()


class Source(Record):
    """What the user pointed at, its name, which column means what, and the last run's classes, whose spelling stays."""

    uri: str
    name: str | None = None
    label: str | None = None
    id: str | None = None
    features: tuple[str, ...] | None = None
    embedding: str | None = None
    image: str | None = None
    text: str | None = None
    pred_probs: tuple[str | tuple[str, ...], ...] | None = None
    raters: tuple[str, ...] | None = None
    trusted: str | None = None
    truth: str | None = None
    group: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each model that gave probabilities.

        >>> Source(uri="x.csv", pred_probs=("p_no", "p_yes")).models
        (('p_no', 'p_yes'),)
        >>> Source(uri="x.csv", pred_probs=(("p_a",), ("p_b",))).models
        (('p_a',), ('p_b',))
        """
        named = self.pred_probs or ()
        flat = tuple(name for name in named if isinstance(name, str))
        if len(flat) == len(named):
            return (flat,) if flat else ()
        return tuple((name,) if isinstance(name, str) else name for name in named)


class Synthetic(Record):
    """How a synthetic two-Gaussian data set was drawn, for the plot of its optimal boundary."""

    mean_0: tuple[float, ...]
    mean_1: tuple[float, ...]
    sigma: float


class Column(Record):
    """What one column of a table is, and how its values became the numbers in `features`.

    Attributes:
        name: Name in the source.
        kind: A number or a boolean is itself, a date its days since 1970, a category its place among `categories`.
            A text is 0: an encoder reads it from the user's own column.
        categories: Values that enough rows share, most frequent first; every other value has the place behind the last one.
        pattern: How the dates or the numbers of a column of text are written.
        centre: Taken off the values of a number or a date, where float32 alone would lose their differences; 0 elsewhere.
    """

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()
    pattern: str = ""
    centre: float = 0.0


class Dataset(Record):
    """Canonical data: one Parquet file, row groups of at most `tasks.storage.ROWS_PER_GROUP` rows.

    Columns: `sample_id` string, `label` string (null where missing), `features` fixed-size list of float32, `content_hash`
    string (of the content without the label), `source_row` int64 (0-based row in the source), `image` binary
    (PNG or JPEG) for images, `trusted` bool where the user named such a column, then the user's own columns; one that has a
    name of ours is kept as `source.<name>`.
    The truth never is here: it is in a file of its own, which only scoring the queue may read.
    `raters` are those of the user's own columns that hold the answers of several raters, of which the label is the majority.
    `group` is the one of them whose values say which samples belong together. `probabilities` says that the features are a
    model's predictions.
    A text has no `features` but a column `text`. `texts` are those of the user's own columns that a table is learned from as
    texts. `beside` are those that are learned from beside an image or an embedding. A table has `columns`, one for each of its
    features, where a missing value is NaN and no error; `left_out` says why a column is not among them. `leaks` are those of
    them that give the label away; `suspects` may give it away and are learned from all the same. `unreadable` says of rows that
    cannot be read why. `label_column` is the column of the label in the source. `notes` say what was decided without being
    asked, a line each. `given_probabilities` are the classes of the features, where these are the user's own probabilities.
    `typos` are labels of too few samples for a class whose names are nearly those of classes: the models take them for these.
    `own_names` are the user's names of columns that have other names here, each with that name.
    """

    path: Path
    name: str
    uri: str
    rows: int
    classes: tuple[str, ...]
    payload: Payload
    feature_names: tuple[str, ...]
    feature_shape: tuple[int, ...]
    display_columns: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    beside: tuple[Column, ...] = ()
    left_out: dict[str, str] = {}
    leaks: dict[str, str] = {}
    suspects: dict[str, str] = {}
    digest: str
    trusted: bool = False
    texts: tuple[str, ...] = ()
    raters: tuple[str, ...] = ()
    group: str | None = None
    probabilities: bool = False
    truth: Path | None = None
    unreadable: Path | None = None
    synthetic: Synthetic | None = None
    label_column: str = ""
    given_probabilities: tuple[str, ...] = ()
    typos: dict[str, str] = {}
    own_names: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def unseen(self) -> tuple[str, ...]:
        """The classes that no row is labeled with and that the user's own probabilities speak of."""
        return tuple(name for name in self.given_probabilities if name not in self.classes)

    @property
    def offered(self) -> tuple[str, ...]:
        """The classes that a person may choose: those of the labels, then those that no row is labeled with."""
        return (*self.classes, *self.unseen)


class Validation(Record):
    """What validation kept and what it set aside; `drift` is how the data differ from those of the last run, a line each."""

    dataset: Dataset
    rows_in: int
    quarantined: int
    quarantine: Path | None
    result: Path
    reasons: dict[str, int]
    conflicting: int
    duplicates: int
    data_docs: Path | None = None
    drift: tuple[str, ...] = ()


class SampleGroups(Record):
    """Samples that belong together and are in one fold: an array file of (rows,) int32, one number a group.

    Attributes:
        path: The file.
        count: Groups, those of one sample too.
        largest: Samples of the largest group.
        shared: Samples that share their group with another one.
        column: Column of the user's that says so; None where near-duplicates were found.
    """

    path: Path
    count: int
    largest: int
    shared: int
    column: str | None = None


class FeatureFile(Record):
    """Raw features of every sample, in the order of the data set: rows x width little-endian float32 in C order.

    What the audit reads, whatever the samples are. `groups` says which belong together; None where each is alone. The last
    `embedded` features are beside the others: an embedding, or columns, as `second` says. `encoder` says whose the embedding
    is, or why there is none. The last `shared` of the others are directions of texts, which have one unit.
    """

    path: Path
    rows: int
    width: int
    shared: int = 0
    embedded: int = 0
    second: str = "embedding"
    encoder: str = ""
    groups: SampleGroups | None = None

    @property
    def plain(self) -> int:
        """How many features, from the first, are not an embedding beside others."""
        return self.width - self.embedded


class EncodedMember(Record):
    """One member of the ensemble: a feature map and the regularisation that goes with it.

    `log_loss` is out of fold on the given labels, in nats; `width` counts encoded features without the
    intercept.
    """

    name: str
    width: int
    l2: float
    log_loss: float


class EncodedOpinion(Record):
    """A model of another kind beside the heads; `log_loss` is out of fold on the given labels, in nats."""

    name: str
    log_loss: float


class ModelChoice(Record):
    """The model of a run, as `--model` has it, and why it is that one; no word where there was nothing to choose."""

    model: str = "linear"
    why: str = ""


class Encoding(Record):
    """How features become what the linear heads see: a folder with one safetensors file for each member, best first.

    The features themselves are in `features`. `encoder` says which encoder was asked and how fast it was, or why none was.
    `alone` says why there are no `opinions` of models of other kinds.
    """

    indifferent: ClassVar[frozenset[str]] = frozenset({"encoder"})

    path: Path
    features: FeatureFile
    members: tuple[EncodedMember, ...]
    choice: ModelChoice = ModelChoice()
    encoder: str = ""
    opinions: tuple[EncodedOpinion, ...] = ()
    alone: str = ""


class FittedRound(Record):
    """The fitted folds of one round: a folder with one safetensors file for each member of the ensemble.

    `gradient_norm` is the largest over members and folds, relative to the one at zero weights. `left_out`
    names the scores of the round before, whose flagged samples this round was fitted and evaluated without.
    `members` says what the heads of networks stand on, which only training them shows; elsewhere it is empty, and
    the encoding says it.
    """

    path: Path
    round: int
    left_out: Path | None
    folds: int
    converged: bool
    gradient_norm: float
    iterations: int
    members: tuple[EncodedMember, ...] = ()


class Scores(Record):
    """Every audited sample with its influence.

    `residual` is the largest |Hv - g| / |g| of the solves, over members and folds.
    """

    path: Path
    round: int
    rows: int
    flagged: int
    residual: float
    converged: bool


class Controls(Record):
    """Labels flipped on purpose in a shadow audit: how many, and how many of them were flagged.

    `path` holds what they say of the queue; None where no label could be flipped.
    """

    path: Path | None
    planted: int
    found: int


class Queue(Record):
    """The flagged samples, worst first; `unflagged` rows are doubtful others, `still_open` more are of earlier queues."""

    parquet: Path
    csv: Path
    rows: int
    flagged: int
    unflagged: int = 0
    still_open: int = 0


class Oddities(Record):
    """What stands out beside the queue: samples in groups of near-duplicates, outliers, features that tell the label alone."""

    path: Path
    duplicates: int
    outliers: int
    leaks: int


class Map(Record):
    """Where samples are beside each other: a file with one row for each that is on the map."""

    path: Path
    rows: int


class Report(Record):
    """The page that people open, and the summary that programs read."""

    html: Path
    summary: Path
