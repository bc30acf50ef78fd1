"""What a finished run shows in the Prefect UI: the top of the queue, a summary, and the way to the report."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.platform.plots import draw_plots
from tasks.addresses import OUT_VARIABLE
from tasks.runs.request import read_data_set_key
from tasks.storage import open_parquet, read_json
from tasks.terminal import write_one_line

# Prefect refuses events over 1.5 MB and shows a blank page over about 1 MB: 1,000 rows of at most this many
# characters a cell stay below both.
MAX_ROWS = 1_000
MAX_CELL = 120
COLUMNS = ("rank", "sample_id", "given_label", "suggested_label", "score", "influence", "reason")


def publish_artifacts(folder: Path, headline: str, out: str) -> None:
    """Create the artifacts of a finished run: the top of its queue, what its steps cost, its summary, the way to its report.

    Args:
        headline: What a person wants to know first.
        out: Folder or address of the results that it belongs to.
    """
    name, data_set = folder.name, read_data_set_key(folder)
    summary = read_json(folder / "summary.json")
    create_table_artifact(
        table=read_top_of_queue(folder / "queue.parquet"),
        key=f"{data_set}-queue",
        description=f"The worst samples of run {escape(name)}, at most {MAX_ROWS:,} of them",
    )
    create_table_artifact(
        table=list_step_costs(summary),
        key=f"{data_set}-steps",
        description=f"Time, memory and rows of each step of run {escape(name)}",
    )
    create_markdown_artifact(
        markdown=write_summary_page(folder, summary, headline, out), key=f"{data_set}-summary"
    )
    ways = f"To review its queue: {format_code(f'labelsweep review {name} --out {out}')}"
    if link := report_link(folder):
        create_link_artifact(
            link=link, link_text=f"Report of {name}", key=f"{data_set}-report", description=ways
        )
    else:
        create_markdown_artifact(markdown=f"{_report(folder)}\n\n{ways}\n", key=f"{data_set}-report")


def report_link(folder: Path) -> str | None:
    """Return where `labelsweep serve-reports` serves the report of a run; None where nobody said that it does.

    What is served is the folder that the worker's setting names: a run that writes elsewhere has no link.

    >>> import os
    >>> os.environ["LABELSWEEP_REPORTS"] = "http://127.0.0.1:4280/?token=secret"
    >>> report_link(Path("data/runs/cats-1"))
    'http://127.0.0.1:4280/runs/cats-1?token=secret'
    >>> del os.environ["LABELSWEEP_REPORTS"]
    """
    address = os.environ.get("LABELSWEEP_REPORTS", "")
    served = os.environ.get(OUT_VARIABLE, "")
    elsewhere = served and "://" not in served and Path(served).resolve() != folder.resolve().parents[1]
    if not address or elsewhere:
        return None
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/runs/{quote(folder.name)}"))


def _report(folder: Path) -> str:
    """Say where the report is; a browser opens no file of its machine from a page of the UI, so that is not a link."""
    if link := report_link(folder):
        return f"[Report]({link})"
    path = format_code(str((folder / "report.html").absolute()))
    return f"Report: {path} (`labelsweep serve-reports` and `LABELSWEEP_REPORTS` make it a link)"


def list_step_costs(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each step cost, as rows of a table."""
    return [
        {
            "step": step["step"],
            "seconds": round(step["seconds"], 1),
            "peak memory (MB)": round(step["peak_memory_mb"]),
            "rows": step["rows"],
        }
        for step in summary["steps"]
    ]


def write_summary_page(folder: Path, summary: Mapping[str, Any], headline: str, out: str) -> str:
    """Return the summary as Markdown: headline, plots as images, the ways to report and review page."""
    lines = "\n".join(f"- {escape(line)}" for line in headline.splitlines() if line)
    plots = "\n\n".join(
        f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"
        for alt, png in draw_plots(folder, summary)
    )
    ways = (
        f"{_report(folder)} · review the queue: {format_code(f'labelsweep review {folder.name} --out {out}')}"
    )
    return f"# {escape(folder.name)}\n\n{lines}\n\n{plots}\n\n{ways}\n"


def read_top_of_queue(path: Path) -> list[dict[str, Any]]:
    """Return the first rows of a queue, without payloads, cells cut to a length that the UI can bear."""
    with open_parquet(path) as file:
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        batch = next(file.iter_batches(batch_size=MAX_ROWS, columns=columns), None)
    rows: list[dict[str, Any]] = batch.to_pylist() if batch is not None else []
    return [{key: _format_cell(value) for key, value in row.items()} for row in rows]


def _format_cell(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    return format_cell(value) if isinstance(value, str) else value


def format_cell(text: str) -> str:
    r"""Return text for a cell of a table, cut to a length that the UI can bear: the UI reads each cell as Markdown.

    >>> print(format_cell("![x](http://a.b)"))
    \!\[x\]\(http\://a\.b\)
    """
    return escape(text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…")


def format_code(text: str) -> str:
    """Return text as a span of code in Markdown, whatever it holds.

    >>> format_code("clean a`b.csv")
    '`` clean a`b.csv ``'
    """
    longest = max(map(len, re.findall("`+", text)), default=0)
    blank = " " if longest else ""
    return f"{'`' * (longest + 1)}{blank}{write_one_line(text)}{blank}{'`' * (longest + 1)}"


def escape(text: str) -> str:
    r"""Return text as Markdown that shows just that text, on one line; no part of it becomes a link.

    >>> print(escape("<b>2*3</b>"))
    \<b\>2\*3\</b\>
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])", r"\\\1", write_one_line(" ".join(text.split())))
