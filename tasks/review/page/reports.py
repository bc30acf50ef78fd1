"""The reports of past runs as web pages, so that a link in Prefect's UI opens one; nothing else of a run is served."""

from html import escape
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from tasks.review.page.failures import FailuresInOneLine
from tasks.review.page.guard import Guard, Guarded
from tasks.runs.history import list_past_runs


def create_reports(out: Path, guard: Guard) -> FastAPI:
    """Make the application that serves the reports of an output folder."""
    app = FastAPI(title="labelsweep reports", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guarded, guard=guard)
    app.add_middleware(FailuresInOneLine)

    @app.get("/")
    def runs() -> HTMLResponse:
        """List the runs, newest first."""
        found = [run for run in list_past_runs(out) if (out / "runs" / run.run_id / "report.html").is_file()]
        rows = "".join(
            f'<li><a href="/runs/{escape(run.run_id)}">{escape(run.run_id)}</a> {escape(run.source)}</li>'
            for run in found
        )
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        body = f"<title>labelsweep reports</title><main><h1>Reports</h1><ul>{rows}</ul></main></html>"
        return HTMLResponse(head + body)

    @app.get("/runs/{run_id}")
    def report(run_id: str) -> HTMLResponse:
        """Return the report of a run."""
        folder = out / "runs"
        path = folder / run_id / "report.html"
        if path.parent.parent != folder or run_id in (".", "..") or not path.is_file():
            raise HTTPException(404, "no report of such a run")
        return HTMLResponse(path.read_bytes())

    return app
