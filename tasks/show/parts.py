"""What a section is made of: a handful of parts that the template knows how to draw, so that a new section needs no new markup.

All strings are text (the template escapes them); only `Figure.svg` is markup, and only `tasks.report.figures` makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


class ReportPart:
    """What the template draws, each kind in its own way."""

    @property
    def kind(self) -> str:
        """The name by which the template knows it."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Image:
    """A picture, as a `data:` URI of a PNG that this program encoded, with its text alternative and its side in pixels."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Text(ReportPart):
    """A paragraph; `tone` is `plain`, `quiet` (an explanation) or `warning`."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Command(ReportPart):
    """A command to type, with what it does."""

    what: str
    command: str


@dataclass(frozen=True)
class Facts(ReportPart):
    """A few figures that matter, each with its name and, where one helps, a remark."""

    facts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Figure(ReportPart):
    """A drawing with a caption; `alt` says in words what is to be seen, `legend` which look means what."""

    svg: Markup
    alt: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Picture(ReportPart):
    """An image with a caption."""

    image: Image
    caption: str


@dataclass(frozen=True)
class Cell:
    """A table cell; `weight` in 0..1 shades it, `strong` marks it as the one to see.

    `to` is a place on the review page, which the cell leads to where the page serves the report.
    """

    text: str
    weight: float = 0.0
    strong: bool = False
    image: Image | None = None
    to: str = ""


TableRows = Sequence[Sequence[Cell | str | int]]


@dataclass(frozen=True)
class Table(ReportPart):
    """A table whose first column names the rows; the columns listed in `numeric` are aligned right.

    Attributes:
        rows: The cells of each row; a text or a count alone stands for a plain cell.
        heat: Whether this is a matrix: narrow cells, centred, shaded by weight.
        corner: For a matrix, what its rows and columns are.
    """

    caption: str
    header: Sequence[str]
    rows: TableRows
    numeric: frozenset[int] = frozenset()
    heat: bool = False
    corner: tuple[str, str] = ("", "")

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows as cells alone."""
        return [[_make_cell(value) for value in row] for row in self.rows]


def _make_cell(value: Cell | str | int) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(value if isinstance(value, str) else f"{value:,}")


@dataclass(frozen=True)
class Bar:
    """A signed bar in -1..1 with its name and value."""

    name: str
    value: str
    length: float


@dataclass(frozen=True)
class Bars(ReportPart):
    """Signed bars with a caption."""

    caption: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Witness:
    """A sample named as evidence."""

    label: str
    sample_id: str
    value: str
    agrees: bool
    image: Image | None = None


@dataclass(frozen=True)
class Card:
    """One sample of the queue, as a reviewer meets it; `to` is its place on the review page."""

    rank: int
    sample_id: str
    given: str
    suggested: str
    given_probability: str
    suggested_probability: str
    given_share: float
    suggested_share: float
    influence: str
    score: str
    reason: str
    verdict: str = ""
    image: Image | None = None
    overlay: Image | None = None
    columns: Sequence[tuple[str, str, str]] = ()
    bars: Bars | None = None
    harms: Sequence[Witness] = ()
    neighbours: Sequence[Witness] = ()
    to: str = ""


@dataclass(frozen=True)
class Cards(ReportPart):
    """The top of the queue: the first `first` in view, the rest on a click."""

    cards: Sequence[Card]
    first: int = 6


@dataclass(frozen=True)
class GroupMember:
    """A sample of a group; `differs` where its label is not that of the others."""

    sample_id: str
    label: str
    differs: bool
    text: str = ""
    image: Image | None = None


@dataclass(frozen=True)
class Group:
    """Samples that belong together; `more` of them are not shown."""

    members: Sequence[GroupMember]
    more: int = 0


@dataclass(frozen=True)
class Groups(ReportPart):
    """Groups of samples with their contents and labels."""

    caption: str
    groups: Sequence[Group]


@dataclass(frozen=True)
class Columns(ReportPart):
    """Parts side by side where there is room."""

    parts: Sequence[ReportPart]


@dataclass(frozen=True)
class Section:
    """A section of the page: an anchor, a heading, its parts, and the word for it in the navigation.

    A folded section is for whoever wants to know how the result came about; it opens on a click.
    """

    anchor: str
    title: str
    parts: Sequence[ReportPart]
    short: str
    folded: bool = False
