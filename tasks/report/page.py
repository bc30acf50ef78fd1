"""The page that people open, and the summary that programs read: both from the run folder alone."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.records import Report
from tasks.report.summary import Summary, summarise_run
from tasks.runs.progress import report_progress
from tasks.show.policy import POLICY, SCRIPT
from tasks.show.text import open_templates, show_plain
from tasks.show.view import RunView
from tasks.storage import write_json, write_text

TEMPLATES = Path(__file__).parent / "templates"


def make_report(folder: Path) -> Report:
    """Write `summary.json` and `report.html` of the run in `folder`, each complete or not at all.

    Files of the run that are missing leave their section out. Influences follow the one convention: positive = helpful, lower =
    more likely mislabeled.

    >>> import tempfile
    >>> report = make_report(Path(tempfile.mkdtemp()))
    >>> report.html.name, report.summary.name
    ('report.html', 'summary.json')
    """
    view = RunView(folder)
    summary: Summary = replace_non_finite(summarise_run(view))
    html = render(view, summary)
    write_json(summary, folder / "summary.json")
    write_text(html, folder / "report.html")
    return Report(html=folder / "report.html", summary=folder / "summary.json")


def render(view: RunView, summary: Summary) -> str:
    """Return the page as one self-contained HTML document."""
    from tasks.report.sections import SECTIONS  # noqa: PLC0415

    built = []
    for done, build in enumerate(SECTIONS, start=1):
        built.append(build(view, summary))
        report_progress("sections", done, len(SECTIONS))
    head, *sections = [section for section in built if section is not None]
    return (
        open_templates("tasks.report")
        .get_template("report.html.j2")
        .render(
            policy=POLICY,
            css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 (a file of this package)
            script=Markup(SCRIPT),  # noqa: S704 (a file of this package)
            name=show_plain(view.name),
            run_id=show_plain(view.run_id),
            head=head,
            shown=[section for section in sections if not section.folded],
            folded=[section for section in sections if section.folded],
            version=summary["versions"].get("labelsweep", ""),
        )
    )


def replace_non_finite(value: Any) -> Any:  # noqa: ANN401 (JSON has no narrower type)
    """Return `value` with every number that JSON cannot write as None.

    >>> replace_non_finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: replace_non_finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
