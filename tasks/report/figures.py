"""Drawings as inline SVG that takes its colours and its type from the page, so that one drawing serves light, dark and print.

Matplotlib draws with placeholder colours; each becomes a CSS variable of the page. No text of the data is ever drawn: labels
and column names appear in captions and tables, where the template escapes them.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

# Placeholder colours, and the page's variables that they become.
INK, MUTED, RULE = "#000001", "#000002", "#000003"
HARMFUL, HELPFUL, QUIET, THIRD = "#000004", "#000005", "#000006", "#000007"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    HARMFUL: "harmful",
    HELPFUL: "helpful",
    QUIET: "quiet",
    THIRD: "third",
}

# Inches at 72 units an inch: a drawing is as wide as a phone, so that its type is readable there without zooming.
WIDTH, HEIGHT = 5.6, 3.5

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labelsweep",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "figure.dpi": 72,
    "savefig.dpi": 144,
    "path.simplify_threshold": 0.5,
}


@contextmanager
def drawing(width: float = WIDTH, height: float = HEIGHT) -> Iterator["Drawing"]:
    """Yield an empty figure in the page's style.

    Args:
        width: In inches.
        height: In inches.
    """
    import matplotlib as mpl  # noqa: PLC0415 (a second to import)

    mpl.use("Agg")
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        yield Figure(figsize=(width, height), layout="constrained")


def inline(figure: "Drawing", name: str, alt: str) -> Markup:
    """Return a figure as an `<svg>` element to put into a page.

    Args:
        figure: The figure.
        name: Unique in the page; it keeps the ids of two drawings apart.
        alt: What is to be seen, in words.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = _own_ids(text.replace("xlink:href=", "href="), name)
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r"\n\s*", " ", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    view = re.search(r'viewBox="[^"]*"', text)
    opening = f'<svg role="img" aria-label="{Markup.escape(alt)}" {view.group() if view else ""}>'
    return Markup(opening + text[text.index(">") + 1 :].strip())  # noqa: S704 (drawn here, without text of the data)


def _own_ids(text: str, name: str) -> str:
    """Drop the ids that nothing refers to or that were there before, and give the others the name of their drawing."""
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', text))

    def own(match: re.Match[str]) -> str:
        # Matplotlib's ids are hashes of what they name, so a second one names the same.
        if match[1] not in used:
            return ""
        used.remove(match[1])
        return f' id="{name}-{match[1]}"'

    text = re.sub(r' id="([\w.-]+)"', own, text)
    return re.sub(r'(href="|url\()#([\w.-]+)', rf"\1#{name}-\2", text)
