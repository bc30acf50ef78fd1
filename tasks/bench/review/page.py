"""How long a reviewer of ten thousand queued samples waits: from the key to the next sample, in a real browser.

A decision is on the server's disk before the next sample shows, so both are in each time.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tasks.bench.helpers import from_tests
from tasks.bench.tables import made_with, markdown

QUEUE = 10_000
# What a reviewer needs at the very least to see what is shown; then none at all, a finger that stays on the key.
GLANCES_MS = (300, 60, 0)


def decide(tab: Any, decisions: int, glance_ms: int) -> list[float]:  # noqa: ANN401 (a page of playwright)
    """Decide one sample after the other; return the milliseconds that each took."""
    tab.evaluate("() => { window.times.length = 0; }")
    for number in range(decisions):
        before = tab.get_attribute(".sample", "data-position")
        tab.keyboard.press("s" if number % 3 else "k")
        tab.wait_for_selector(f'.sample:not([data-position="{before}"])')
        tab.wait_for_timeout(glance_ms)
    times: list[float] = tab.evaluate("() => window.times")
    return times


def run_page(*, decisions: Annotated[int, typer.Option(metavar="N", help="decisions")] = 200) -> None:
    """How long a reviewer waits from the key to the next sample, in a real browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (belongs to the dev extra)

    servers, runs = from_tests("review", "review_server"), from_tests("review", "run_folder")
    with tempfile.TemporaryDirectory(prefix="labelsweep-page-") as folder, sync_playwright() as driver:
        out = Path(folder)
        run = runs.digits_run(out)
        runs.stretched(run, QUEUE)
        started = time.perf_counter()
        server = servers.Process(out, run.name, "--reviewer", "Ada", "--port", "0")
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            servers.Client(server.address).page("/review")
            first_page = time.perf_counter() - started
            tab = browser.new_page(viewport={"width": 1360, "height": 860})
            tab.goto(server.address)
            tab.wait_for_selector("body[data-ready]")
            tab.evaluate(from_tests("review", "stopwatch").STOPWATCH)
            found = {ms: decide(tab, decisions, ms) for ms in GLANCES_MS}
            version = browser.version
        finally:
            browser.close()
            server.kill()
    rows = [
        [f"next sample after a glance of {ms} ms", len(times)]
        + [f"{value:.0f}" for value in (np.median(times), np.quantile(times, 0.95), max(times))]
        for ms, times in found.items()
    ]
    table = markdown(["", "samples", "median, ms", "95 %, ms", "longest, ms"], rows)
    sys.stdout.write(
        f"Key to next sample, {QUEUE:,} samples queued, each decision written and synchronised before the next sample shows.\n\n"
        f"{table}\nFrom the command to the first page: {first_page:.1f} s. Chromium {version}, {made_with()}\n"
    )
