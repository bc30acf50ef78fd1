"""Reports are served to who has the token, and nothing else of a run is."""

from pathlib import Path

import pytest
from review_server import Client, Process

from flows.platform.artifacts import report_link
from tasks.report import make_report


def test_reports_open_by_the_link_of_an_artifact_and_to_nobody_without_the_token(
    digits: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (digits / "config.yaml").write_text("source: digits.csv\n", encoding="utf-8")
    server = Process(out, "--host", "0.0.0.0", "--port", "0", serves="serve-reports")  # noqa: S104
    try:
        monkeypatch.setenv("LABELSWEEP_REPORTS", server.address)
        link = report_link(digits)
        assert link is not None
        path = "/" + link.split("/", 3)[3]
        browser = Client(server.address)
        for closed in ("/", "/runs/digits-run", path[:-1]):
            assert browser.request("GET", closed)[0] == 403
        status, headers, _ = browser.request("GET", path)
        assert (status, headers["location"]) == (303, "/runs/digits-run")
        assert f"No report yet under {out.absolute()}/runs" in browser.page("/")
        report = make_report(digits).html
        assert browser.page("/runs/digits-run") == report.read_text(encoding="utf-8")
        assert 'href="/runs/digits-run"' in browser.page("/")
        assert browser.request("GET", "/static/review.css")[0] == 200
        assert "wine-run" not in browser.page("/")  # it has no report
        for other in (
            "none",
            "..",
            "digits-run/queue.csv",
            "..%2F..%2Fdecisions.sqlite",
            "digits-run%2F..%2F..",
        ):
            assert browser.request("GET", f"/runs/{other}")[0] == 404
    finally:
        server.kill()
