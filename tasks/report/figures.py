"""Drawings as inline SVG that takes its colours and its type from the page, so that one drawing serves light, dark and print.

A mark carries in `data-tip` what the page's script shows under the mouse. How marks look is said by classes of the style sheet.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tasks.arrays import Array
from tasks.show.text import format_number

# Units of the drawing: as wide as a phone, so that its type is readable there without zooming.
WIDTH, HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 20, 42
# About this many lines of a grid help the eye; more are in its way.
_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`, linear or logarithmic.

    >>> Axis("loss", 0.0, 1.0).ticks(), Axis("samples", 1, 2_000, log=True).ticks()
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1.0, 10.0, 100.0, 1000.0])
    """

    name: str
    low: float
    high: float
    log: bool = False

    def share(self, values: Array | float) -> Array:
        """Return where values are between the ends, 0 to 1."""
        scaled = (np.log10 if self.log else np.asarray)(np.asarray(values, dtype=np.float64))
        low, high = (math.log10(end) if self.log else end for end in (self.low, self.high))
        return (scaled - low) / ((high - low) or 1.0)

    def ticks(self) -> list[float]:
        """Return round values between the ends."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            stride = max(1, -(-(last - first) // _TICKS))
            return [10.0**power for power in range(first, last + 1, stride)]
        rough = (self.high - self.low) / _TICKS or 1.0
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
        places = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [round(place * step, 12) for place in places]


class Chart:
    """A drawing that is filled mark by mark.

    Args:
        across: The horizontal axis.
        up: The vertical axis.
        height: In units of the drawing.
    """

    def __init__(self, across: Axis, up: Axis, height: int = HEIGHT) -> None:
        self._across, self._up, self._height = across, up, height
        self._marks: list[str] = []

    def x(self, values: Array | float) -> Array:
        """Return horizontal places in the drawing."""
        return _LEFT + self._across.share(values) * (WIDTH - _LEFT - _RIGHT)

    def y(self, values: Array | float) -> Array:
        """Return vertical places in the drawing."""
        return self._height - _BOTTOM - self._up.share(values) * (self._height - _TOP - _BOTTOM)

    def bars(self, edges: Array, counts: Array, look: str) -> None:
        """Draw a histogram: (bins + 1,) edges, (bins,) counts; empty bins are left out."""
        bottom, lefts = float(self.y(self._up.low)), self.x(edges)
        for place in np.flatnonzero(counts > 0):
            top, left = float(self.y(float(counts[place]))), float(lefts[place])
            width = max(float(lefts[place + 1]) - left - 0.6, 0.4)
            self._add(
                '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>',
                look,
                left,
                top,
                width,
                bottom - top,
            )

    def hover(self, edges: Array, tips: Sequence[str]) -> None:
        """Let each bin say something under the mouse, over the whole height of the drawing."""
        lefts, height = self.x(edges), self._height - _TOP - _BOTTOM
        for place, tip in enumerate(tips):
            left, width = float(lefts[place]), float(lefts[place + 1] - lefts[place])
            self._add(
                '<rect class="hover" data-tip="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>',
                tip,
                left,
                _TOP,
                width,
                height,
            )

    def line(self, x: Array, y: Array, look: str, tip: str = "") -> None:
        """Draw a line through (n,) points; a lone point becomes a dot."""
        places = list(zip(self.x(x).tolist(), self.y(y).tolist(), strict=True))
        if len(places) == 1:
            self._add(
                '<circle class="{}" data-tip="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>', look, tip, *places[0]
            )
            return
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        self._add('<path class="line {}" d="{}"/>', look, path)
        if tip:
            self._add('<path class="hover line" data-tip="{}" d="{}"/>', tip, path)

    def points(self, x: Array, y: Array, draw: Callable[[float, float, int], str]) -> None:
        """Draw (n,) points; `draw(x, y, i)` returns the i-th mark."""
        for place, (a, b) in enumerate(zip(self.x(x).tolist(), self.y(y).tolist(), strict=True)):
            self._marks.append(draw(a, b, place))

    def rule(self, at: float, name: str) -> None:
        """Draw a vertical line with its name above it."""
        place, bottom = float(self.x(at)), self._height - _BOTTOM
        self._add('<path class="line ink" d="M{:.1f} {}V{}"/>', place, _TOP, bottom)
        self._add('<text class="ink middle" x="{:.1f}" y="{}">{}</text>', place, _TOP - 6, name)

    def ends(self, left: str, right: str) -> None:
        """Say what either end of the horizontal axis means."""
        self._add('<text x="{}" y="{}">{}</text>', _LEFT, self._height - 4, left)
        self._add('<text class="end" x="{}" y="{}">{}</text>', WIDTH - _RIGHT, self._height - 4, right)

    def svg(self, alt: str) -> Markup:
        """Return the drawing as an element to put into a page.

        Args:
            alt: What is to be seen, in words.
        """
        opening = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}">').format(
            alt, WIDTH, self._height
        )
        return opening + Markup("").join([*self._frame(), *map(Markup, self._marks)]) + Markup("</svg>")

    def _frame(self) -> Iterable[Markup]:
        bottom, right = self._height - _BOTTOM, WIDTH - _RIGHT
        for tick in self._up.ticks():
            place = float(self.y(tick))
            yield Markup('<path class="rule" d="M{} {:.1f}H{}"/>').format(_LEFT, place, right)
            yield Markup('<text class="end" x="{}" y="{:.1f}">{}</text>').format(
                _LEFT - 6, place + 4, format_number(tick)
            )
        for tick in self._across.ticks():
            yield Markup('<text class="middle" x="{:.1f}" y="{}">{}</text>').format(
                float(self.x(tick)), bottom + 16, format_number(tick)
            )
        yield Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, bottom, right)
        yield Markup('<text class="middle" x="{}" y="{}">{}</text>').format(
            (_LEFT + right) / 2, self._height - 4, self._across.name
        )
        middle = (_TOP + bottom) / 2
        turned = '<text class="middle" transform="translate(12 {}) rotate(-90)">{}</text>'
        yield Markup(turned).format(middle, self._up.name)  # noqa: S704 (drawn here)

    def _add(self, form: str, *values: object) -> None:
        self._marks.append(Markup(form).format(*values))  # noqa: S704 (forms of this module; values are escaped)
