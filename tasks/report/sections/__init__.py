"""The sections of the report in the order of the page.

A section is a pure function `build(view, summary) -> Section | None`, None where the run has nothing to say about it, in a small
file of its own; a file with several names them in `SECTIONS`. A new section is a new file: it is found in this folder, and comes
before the costs and settings unless the order below names it. What a person needs is in view, how it came about is folded.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.plugins import import_modules
from tasks.report.summary import Summary
from tasks.show.parts import Section
from tasks.show.view import RunView

Build = Callable[[RunView, Summary], Section | None]

_ORDER = (
    *("headline", "since", "queue", "confusion", "clusters", "plane", "oddities"),
    *("controls", "quality", "influence", "saliency", "fit", "convergence", "source", "validation"),
)
_LAST = "run"


def _list_builders() -> Iterator[Build]:
    found = import_modules(__name__, Path(__file__).parent)
    others = (name for name in found if name not in (*_ORDER, _LAST))
    for name in (*_ORDER, *others, _LAST):
        yield from found[name].SECTIONS if hasattr(found[name], "SECTIONS") else (found[name].build,)


SECTIONS: tuple[Build, ...] = tuple(_list_builders())
