"""Drawings as inline SVG that takes its colours and its type from the page, so that one drawing serves light, dark and print.

A mark carries in `data-tip` what the page's script shows under the mouse. How marks look is said by classes of the style sheet.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup, escape

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
        self.marks: list[str] = []

    def x(self, values: Array | float) -> Array:
        """Return horizontal places in the drawing."""
        return _LEFT + self._across.share(values) * (WIDTH - _LEFT - _RIGHT)

    def y(self, values: Array | float) -> Array:
        """Return vertical places in the drawing."""
        return self._height - _BOTTOM - self._up.share(values) * (self._height - _TOP - _BOTTOM)

    def bars(self, edges: Array, counts: Array, look: str) -> None:
        """Draw a histogram: (bins + 1,) edges, (bins,) counts; empty bins are left out."""
        bottom, lefts = float(self.y(self._up.low)), self.x(edges).tolist()
        for place in np.flatnonzero(counts > 0):
            top, left = float(self.y(float(counts[place]))), lefts[place]
            size = f'width="{max(lefts[place + 1] - left - 0.6, 0.4):.1f}" height="{bottom - top:.1f}"'
            self.marks.append(f'<rect class="{look}" x="{left:.1f}" y="{top:.1f}" {size}/>')

    def hover(self, edges: Array, tips: Sequence[str]) -> None:
        """Let each bin say something under the mouse, over the whole height of the drawing."""
        height = self._height - _TOP - _BOTTOM
        for tip, (left, right) in zip(tips, pairwise(self.x(edges).tolist()), strict=True):
            place = f'x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{height}"'
            self.marks.append(f'<rect class="hover" data-tip="{escape(tip)}" {place}/>')

    def line(self, x: Array, y: Array, look: str, tip: str = "") -> None:
        """Draw a line through (n,) points; a lone point becomes a dot."""
        places, tip = list(zip(self.x(x).tolist(), self.y(y).tolist(), strict=True)), escape(tip)
        if len(places) == 1:
            dot = f'cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3.5"'
            self.marks.append(f'<circle class="{look}" data-tip="{tip}" {dot}/>')
            return
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        self.marks.append(f'<path class="line {look}" d="{path}"/>')
        if tip:
            self.marks.append(f'<path class="hover line" data-tip="{tip}" d="{path}"/>')

    def rule(self, at: float, name: str) -> None:
        """Draw a vertical line with its name above it."""
        place = f"{float(self.x(at)):.1f}"
        self.marks += [
            f'<path class="line ink" d="M{place} {_TOP}V{self._height - _BOTTOM}"/>',
            f'<text class="ink middle" x="{place}" y="{_TOP - 6}">{escape(name)}</text>',
        ]

    def ends(self, left: str, right: str) -> None:
        """Say what either end of the horizontal axis means."""
        self.marks += [
            f'<text x="{_LEFT}" y="{self._height - 4}">{left}</text>',
            f'<text class="end" x="{WIDTH - _RIGHT}" y="{self._height - 4}">{right}</text>',
        ]

    def svg(self, alt: str) -> Markup:
        """Return the drawing as an element to put into a page.

        Args:
            alt: What is to be seen, in words.
        """
        opening = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {WIDTH} {self._height}">'
        drawn = "".join((opening, *self._frame(), *self.marks, "</svg>"))
        return Markup(drawn)  # noqa: S704 (drawn here; texts are escaped)

    def _frame(self) -> Iterable[str]:
        bottom, right = self._height - _BOTTOM, WIDTH - _RIGHT
        for tick in self._up.ticks():
            place = float(self.y(tick))
            yield f'<path class="rule" d="M{_LEFT} {place:.1f}H{right}"/>'
            yield f'<text class="end" x="{_LEFT - 6}" y="{place + 4:.1f}">{format_number(tick)}</text>'
        for tick in self._across.ticks():
            place = float(self.x(tick))
            yield f'<text class="middle" x="{place:.1f}" y="{bottom + 16}">{format_number(tick)}</text>'
        yield f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>'
        middle, name = (_LEFT + right) / 2, escape(self._across.name)
        yield f'<text class="middle" x="{middle}" y="{self._height - 4}">{name}</text>'
        turned = f"translate(12 {(_TOP + bottom) / 2}) rotate(-90)"
        yield f'<text class="middle" transform="{turned}">{escape(self._up.name)}</text>'
