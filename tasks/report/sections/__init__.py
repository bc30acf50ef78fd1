"""The sections of the report in the order of the page.

A section is a small file with one pure function `build(view, summary) -> Section | None`, None where the run has nothing to say
about it. A new section is a new file: it is found in this folder, and comes before the settings unless the order below names it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.found import modules_in
from tasks.report.sections import (
    columns,
    confusion,
    controls,
    convergence,
    fit,
    headline,
    influence,
    oddities,
    plane,
    quality,
    queue,
    reading,
    saliency,
    settings,
    since,
    timing,
    validation,
)
from tasks.report.summary import Summary
from tasks.show.parts import Section
from tasks.show.view import RunView

__all__ = ["SECTIONS"]

Build = Callable[[RunView, Summary], Section | None]

_ORDER: tuple[Build, ...] = (
    headline.build,
    since.build,
    queue.build,
    confusion.build,
    influence.build,
    plane.build,
    saliency.build,
    oddities.conflicts,
    oddities.duplicates,
    oddities.outliers,
    oddities.leaks,
    controls.build,
    quality.build,
    fit.build,
    convergence.build,
    reading.build,
    columns.build,
    validation.build,
    timing.build,
)


def _others() -> Iterator[Build]:
    """Yield the sections of the files that the order does not name."""
    placed = {build.__module__ for build in (*_ORDER, settings.build)}
    for module in modules_in(__name__, Path(__file__).parent).values():
        build: Build | None = getattr(module, "build", None)
        if build is not None and module.__name__ not in placed:
            yield build


SECTIONS: tuple[Build, ...] = (*_ORDER, *_others(), settings.build)
