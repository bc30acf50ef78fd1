"""What a section is made of: a handful of parts that the template knows how to draw, so that a new section needs no new markup.

All strings are text (the template escapes them); only `Figure.svg` is markup, and only `tasks.report.figures` makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


class Part:
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
class Text(Part):
    """A paragraph; `tone` is `plain`, `quiet` (an explanation) or `warning`."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Command(Part):
    """A command to type, with what it does."""

    what: str
    command: str


@dataclass(frozen=True)
class Facts(Part):
    """A few figures that matter, each with its name and, where one helps, a remark."""

    facts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Figure(Part):
    """A drawing with a caption; `alt` says in words what is to be seen."""

    svg: Markup
    alt: str
    caption: str


@dataclass(frozen=True)
class Picture(Part):
    """An image with a caption."""

    image: Image
    caption: str


@dataclass(frozen=True)
class Cell:
    """A table cell; `weight` in 0..1 shades it, `strong` marks it as the one to see."""

    text: str
    weight: float = 0.0
    strong: bool = False
    image: Image | None = None


@dataclass(frozen=True)
class Table(Part):
    """A table whose first column names the rows; the columns listed in `numeric` are aligned right.

    Attributes:
        caption: What the table shows.
        header: Names of the columns.
        rows: The cells.
        numeric: Indices of columns of numbers.
        heat: Whether this is a matrix: narrow cells, centred, shaded by weight.
        corner: For a matrix, what its rows and columns are.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    heat: bool = False
    corner: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Bar:
    """A signed bar in -1..1 with its name and value."""

    name: str
    value: str
    length: float


@dataclass(frozen=True)
class Bars(Part):
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
    """One sample of the queue, as a reviewer meets it."""

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
    columns: Sequence[tuple[str, str]] = ()
    bars: Bars | None = None
    harms: Sequence[Witness] = ()
    neighbours: Sequence[Witness] = ()


@dataclass(frozen=True)
class Cards(Part):
    """The top of the queue."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Columns(Part):
    """Parts side by side where there is room."""

    parts: Sequence[Part]


@dataclass(frozen=True)
class Section:
    """A section of the page: an anchor, a heading, its parts, and the word for it in the navigation."""

    anchor: str
    title: str
    parts: Sequence[Part]
    short: str
