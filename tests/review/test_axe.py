"""axe-core finds nothing to object to, on any page, in any theme, at the desk and on a phone."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from review_server import served

from tasks.review.state import ReviewOptions

axe = pytest.importorskip("axe_playwright_python", reason="the package carries axe-core")
playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven through Playwright")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this machine")

PAGES = ("/review", "/grid", "/grid?like=0&state=all", "/map", "/team", "/insights", "/name")


@pytest.fixture(scope="module")
def addresses(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    out = Path(shutil.copytree(made, tmp_path_factory.mktemp("axe") / "data", symlinks=True))
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                served(
                    out / "runs" / name,
                    out,
                    reviewer="Ada",
                    options=ReviewOptions(guideline="A guideline."),
                )
            ).address
            for name in ("digits-run", "wine-run", "notes-run")
        }


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_anybody(addresses: dict[str, str], scheme: str, width: int) -> None:
    source = (Path(axe.__file__).parent / "axe.min.js").read_text()
    found: list[Any] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
        paths = [addresses["digits-run"] + path for path in PAGES]
        for address in [*paths, addresses["wine-run"] + "/review", addresses["notes-run"] + "/review"]:
            tab.goto(address)
            tab.wait_for_load_state("networkidle")
            if address.endswith("/map"):
                tab.wait_for_selector("body[data-ready]")
            tab.evaluate(source)
            violations = tab.evaluate("axe.run(document)")["violations"]
            found += [
                (address, one["impact"], one["id"], one["nodes"][0]["html"][:120]) for one in violations
            ]
        browser.close()
    assert found == []
