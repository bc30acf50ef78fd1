"""The reports of past runs as web pages, so that a link in Prefect's UI opens one; nothing else of a run is served."""

from html import escape
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from tasks.review.page.guard import Guard, make_app
from tasks.runs.history import list_past_runs

_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/mark.svg">'
    '<link rel="stylesheet" href="/static/review.css">'
)


def create_reports(out: Path, guard: Guard) -> FastAPI:
    """Make the application that serves the reports of an output folder."""
    app = make_app("labelsweep reports", guard)

    @app.get("/")
    def runs() -> HTMLResponse:
        """List the runs, newest first."""
        found = [run for run in list_past_runs(out) if (out / "runs" / run.run_id / "report.html").is_file()]
        rows = "".join(
            f'<tr><td><a href="/runs/{escape(run.run_id)}">{escape(run.run_id)}</a></td><td>{run.date:%Y-%m-%d %H:%M}</td>'
            f"<td>{_format_count(run.rows)}</td><td>{_format_count(run.flagged)}</td><td>{escape(run.source)}</td></tr>"
            for run in found
        )
        heads = "".join(f"<th>{name}</th>" for name in ("Run", "Date (UTC)", "Rows", "Flagged", "Source"))
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        empty = f"<p>No report yet under {escape(str(out / 'runs'))}: a sweep that ends there writes one.</p>"
        body = (
            f"<title>labelsweep reports</title><main><h1>Reports</h1>{table if rows else empty}</main></html>"
        )
        return HTMLResponse(_HEAD + body)

    @app.get("/runs/{run_id}")
    def report(run_id: str) -> HTMLResponse:
        """Return the report of a run."""
        folder = out / "runs"
        path = folder / run_id / "report.html"
        if path.parent.parent != folder or run_id in (".", "..") or not path.is_file():
            raise HTTPException(404, "no report of such a run")
        return HTMLResponse(path.read_bytes())

    return app


def _format_count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"
