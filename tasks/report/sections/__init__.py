"""The sections of the report in the order of the page.

A section is a small file with one pure function `build(view, summary) -> Section | None`, None where the run has nothing to say
about it. A new section is a new file and one line here.
"""

from collections.abc import Callable

from tasks.report.parts import Section
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
    saliency,
    settings,
    since,
    timing,
    validation,
)
from tasks.report.summary import Summary
from tasks.report.view import RunView

__all__ = ["SECTIONS"]

SECTIONS: tuple[Callable[[RunView, Summary], Section | None], ...] = (
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
    columns.build,
    validation.build,
    timing.build,
    settings.build,
)
