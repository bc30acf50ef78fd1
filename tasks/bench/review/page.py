"""What a person waits for: from a decision to the next sample in a real browser, for pictures, and for a sweep."""

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from PIL import Image

from tasks.bench.command import count_of
from tasks.bench.helpers import ROOT, import_test_module, run_command
from tasks.bench.stopwatch import draw_noisy_data, time_call
from tasks.bench.tables import describe_setup, format_table

QUEUE = 10_000
# What a reviewer needs at the very least to see what is shown; then none at all, a finger that stays on the key.
GLANCES_MS = (300, 60, 0)
GLANCE_MS = 300
WORDS = 5_000
# Photographs that are looked at one after the other, as soon as each is there.
LOOKED_AT = 4
PHOTOGRAPH = (4_000, 3_000)
# On a machine that is busy with other work; no figure depends on it.
PATIENCE_MS = 300_000

# The sample and its neighbours are on the page, decoded; folded evidence is not asked for.
COMPLETE = """() => [...document.querySelectorAll('#stage img')].filter((e) => e.checkVisibility())
    .every((e) => e.complete && e.naturalWidth)"""
BYTES = "() => performance.getEntriesByType('resource').reduce((sum, e) => sum + e.transferSize, 0)"


def run_page(*, decisions: Annotated[int, count_of("decisions")] = 100) -> None:
    """How long a person waits: from the key to the next sample and for pictures, in a real browser, and for a sweep.

    A decision is on the server's disk before the next sample shows, so both are in each time.
    """
    runs, rows = import_test_module("review", "run_folder"), list[list[object]]()
    with tempfile.TemporaryDirectory(prefix="labelsweep-page-") as folder:
        out = Path(folder)
        digits = runs.digits_run(out)
        runs.stretched(digits, QUEUE)
        texts = f"texts of {WORDS:,} words"
        rows += _time_decisions(out, digits, f"digits, {QUEUE:,} queued", decisions, GLANCES_MS)
        rows += _time_decisions(out, write_table(out), "60 columns", decisions, (GLANCE_MS,))
        rows += _time_decisions(out, write_texts(out), texts, decisions, (GLANCE_MS,))
        seconds, size = _time_photographs(out, write_photographs(out))
        sweeps = list(_time_sweeps(out))
    heads = ["key to next sample", "samples", "median, ms", "95 %, ms", "longest, ms"]
    sys.stdout.write(
        f"{format_table(heads, rows, show='.0f')}\n"
        f"{format_table(['sweep', 'wall, s', 'processor, s'], sweeps, show='.1f')}\n"
        f"{LOOKED_AT} photographs of 12 megapixels with their neighbours, one after the other without a pause: "
        f"{seconds:.1f} s, {size / 1e6:.1f} MB.\n\n"
        f"{describe_setup()}, load average {os.getloadavg()[0]:.0f} at the end.\n"
    )


def _time_sweeps(out: Path) -> Iterator[list[object]]:
    """Sweep a small table and a sample, twice; yield a row for each."""
    penguins = [str(ROOT / "data" / "penguins.csv"), "--label", "species"]
    for name, source in (("344 rows", penguins), ("sample:digits", ["sample:digits"])):
        sweep = partial(run_command, out, "clean", *source, "--quiet", "--out", str(out / "swept"))
        for said in (name, f"{name}, unchanged"):
            yield [said, *time_call(sweep)[1]]


@contextmanager
def _open_page(out: Path, run: Path) -> Iterator[Any]:
    """Yield the review page of a run in a browser, ready."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (belongs to the dev extra)

    servers = import_test_module("review", "review_server")
    server = servers.Process(out, run.name, "--reviewer", "Ada", "--port", "0")
    try:
        with sync_playwright() as driver:
            arguments = ["--no-sandbox", "--disable-gpu"]
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
            tab = browser.new_page(viewport={"width": 1360, "height": 860})
            tab.goto(server.address)
            tab.wait_for_selector("body[data-ready]")
            yield tab
            browser.close()
    finally:
        server.kill()


def _time_decisions(
    out: Path, run: Path, name: str, decisions: int, glances: tuple[int, ...]
) -> Iterator[list[object]]:
    """Decide one sample after the other; yield a row for each glance."""
    with _open_page(out, run) as tab:
        tab.evaluate(import_test_module("review", "stopwatch").STOPWATCH)
        tab.wait_for_load_state("networkidle")
        for glance in glances:
            tab.evaluate("() => { window.times.length = 0; }")
            for number in range(decisions):
                before = tab.get_attribute(".sample", "data-position")
                tab.keyboard.press("s" if number % 3 else "k")
                tab.wait_for_selector(f'.sample:not([data-position="{before}"]), #end:not([hidden])')
                if tab.is_visible("#end"):
                    break  # the queue is shorter
                tab.wait_for_timeout(glance)
            times = tab.evaluate("() => window.times")
            figures = np.quantile(times, [0.5, 0.95, 1.0]).tolist()
            yield [f"{name}, a glance of {glance} ms", len(times), *figures]


def _time_photographs(out: Path, run: Path) -> tuple[float, float]:
    """Look at some photographs; return the seconds until all of them were complete, and what came over the network."""
    with _open_page(out, run) as tab:
        waited = 0.0
        for number in range(LOOKED_AT):
            started = time.perf_counter()
            if number:
                tab.keyboard.press("k")
                tab.wait_for_selector(f'.sample[data-position="{number}"]')
            tab.wait_for_function(COMPLETE, polling=10, timeout=PATIENCE_MS)
            waited += time.perf_counter() - started
        size: float = tab.evaluate(BYTES)
    return waited, size


def write_table(out: Path) -> Path:
    """Return a run on rows of 60 columns with long names."""
    names = [f"measurement_of_sensor_{n}_over_the_last_day" for n in range(60)]
    features, truth = _draw(900)
    return _write_run(out, "tabular", pd.DataFrame(features, columns=names), features, truth)


def write_texts(out: Path) -> Path:
    """Return a run on long texts."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeioudklmnrst"), rng.integers(2, 9))) for _ in range(3_000)]
    texts = [" ".join(rng.choice(words, WORDS)) for _ in range(600)]
    return _write_run(out, "text", pd.DataFrame({"text": texts}), *_draw(len(texts)))


def write_photographs(out: Path) -> Path:
    """Return a run on photographs: grain over a bright or a dark ground, which no camera writes in less than megabytes."""
    rng = np.random.default_rng(0)
    grain = rng.integers(-16, 16, (PHOTOGRAPH[1], PHOTOGRAPH[0], 3), dtype=np.int16)
    features, truth = _draw(48)
    pictures = []
    for label in truth:
        ground = Image.fromarray(np.uint8(rng.integers(30, 100, (12, 16, 3)) + 40 * label))
        pixels = np.asarray(ground.resize(PHOTOGRAPH, Image.Resampling.BICUBIC), np.int16)
        held = io.BytesIO()
        Image.fromarray(np.uint8(np.clip(pixels + grain, 0, 255))).save(held, "JPEG", quality=92)
        pictures.append(held.getvalue())
    return _write_run(out, "image", pd.DataFrame({"image": pictures}), features, truth)


def _draw(count: int) -> tuple[Any, Any]:
    """Return features and classes of four Gaussians."""
    drawn = draw_noisy_data(count, 60, 4)
    return drawn.features, drawn.truth


def _write_run(out: Path, payload: str, frame: pd.DataFrame, features: Any, truth: Any) -> Path:  # noqa: ANN401
    """Return a run with planted errors, whose samples are shown as some content."""
    runs = import_test_module("review", "run_folder")
    classes, names = [f"class {n}" for n in range(4)], tuple(f"feature {n}" for n in range(60))
    labels = np.array(classes)[truth]
    given = runs.plant(labels, 0.15, classes)
    shown = (f"{payload}-run", payload, payload, frame, features, given, labels, names, ())
    run: Path = runs.write_run(out, *shown)
    return run
