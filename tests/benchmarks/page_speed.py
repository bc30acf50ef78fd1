"""How long a reviewer of ten thousand queued samples waits: from the key to the next sample, in a real browser.

    python tests/benchmarks/page_speed.py [decisions]

A decision is on the server's disk before the next sample shows, so both are in each time.
"""

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

sys.path[:0] = [str(Path(__file__).parents[1] / "review"), str(Path(__file__).parents[2])]

from review_server import Client, Process  # noqa: E402
from run_folder import digits_run, stretched  # noqa: E402
from stopwatch import STOPWATCH  # noqa: E402

QUEUE = 10_000
# What a reviewer needs at the very least to see what is shown; then none at all, a finger that stays on the key.
GLANCES_MS = (300, 60, 0)


def decide(tab: Page, decisions: int, glance_ms: int) -> list[float]:
    """Decide one sample after the other; return the milliseconds that each took."""
    tab.evaluate("() => { window.times.length = 0; }")
    for number in range(decisions):
        before = tab.get_attribute(".sample", "data-position")
        tab.keyboard.press("s" if number % 3 else "k")
        tab.wait_for_selector(f'.sample:not([data-position="{before}"])')
        tab.wait_for_timeout(glance_ms)
    times: list[float] = tab.evaluate("() => window.times")
    return times


def row(name: str, times: list[float]) -> str:
    """Return a row of the table."""
    median, most, worst = (
        f"{value:.0f}" for value in (np.median(times), np.quantile(times, 0.95), max(times))
    )
    return f"| {name} | {len(times):,} | {median} | {most} | {worst} |"


def main() -> None:
    """Print a table."""
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory(prefix="labelsweep-page-") as folder, sync_playwright() as driver:
        out = Path(folder)
        run = digits_run(out)
        stretched(run, QUEUE)
        started = time.perf_counter()
        server = Process(out, run.name, "--reviewer", "Ada", "--port", "0")
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            Client(server.address).page("/review")
            first_page = time.perf_counter() - started
            tab = browser.new_page(viewport={"width": 1360, "height": 860})
            tab.goto(server.address)
            tab.wait_for_selector("body[data-ready]")
            tab.evaluate(STOPWATCH)
            rows = [
                row(f"next sample after a glance of {ms} ms", decide(tab, decisions, ms)) for ms in GLANCES_MS
            ]
            version = browser.version
        finally:
            browser.close()
            server.kill()
    head = ["| | samples | median, ms | 95 %, ms | longest, ms |", "|---|---:|---:|---:|---:|"]
    sys.stdout.write(
        f"# `python tests/benchmarks/page_speed.py {decisions}`\n\n"
        f"Key to next sample, {QUEUE:,} samples queued, each decision written and synchronised before the next sample "
        "shows.\n\n" + "\n".join([*head, *rows]) + "\n\n"
        f"From the command to the first page: {first_page:.1f} s. Chromium {version}, Python {platform.python_version()}; "
        f"{os.cpu_count()} cores.\n"
    )


if __name__ == "__main__":
    main()
