"""The report beside the review: its cards and counts lead to their samples, and only our own script runs in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_server import Client, served

from tasks.report import make_report

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this machine")


@pytest.fixture
def tab() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page()
        browser.close()


def test_cards_and_counts_lead_to_their_samples(digits: Path, out: Path, tab: Any) -> None:
    report = make_report(digits).html
    evil = "<script>document.title = 'taken over'</script>"
    report.write_text(report.read_text(encoding="utf-8") + evil, encoding="utf-8")
    tab.goto(report.as_uri())
    assert tab.locator("a[data-to][href]").count() == 0  # nothing to lead to, where nobody serves the review
    with served(digits, out, control_share=0.2, reviewer="Ada") as site:
        tab.goto(f"{site.address}/report")
        assert tab.title() != "taken over"
        tab.locator("article a").first.click()
        tab.wait_for_selector("body[data-ready]")
        worst = next(item for item in site.site.queue.items if item.rank == 1 and not item.is_control)
        assert tab.get_attribute(".sample", "data-position") == str(worst.position)
        tab.goto(f"{site.address}/report")
        cell = tab.locator("table.heat a[href]").first
        given, suggested = (cell.get_attribute("href") or "").split("&")[1:]
        cell.click()
        tab.wait_for_url("**/grid?**")
        assert given in tab.url
        assert suggested in tab.url
        tab.goto(f"{site.address}/report#influence")
        assert tab.locator("details#influence").get_attribute("open") is not None
        tab.locator("details#influence .hover").nth(5).hover()
        assert " not flagged" in tab.inner_text("#tip")
        assert (
            "frame-ancestors 'none'"
            in Client(site.address).request("GET", "/report")[1]["content-security-policy"]
        )
