"""Make the pictures of the review page and of the report from the pages themselves: python docs/img/review.py OUT.

OUT is an output folder with a run of the digits. It is copied first, so that nothing is decided in it. `review.gif` is a minute
of a review; `review.png`, `map.png` and `report.png` are still.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1280, "height": 800}
REPORT = {"width": 1200, "height": 1280}
SHOWN = (800, 500)
# What is pressed shows in a corner for as long as its frame.
PRESSED = """(key) => {
    document.querySelector('#pressed')?.remove();
    if (!key) return;
    const sign = document.body.appendChild(document.createElement('kbd'));
    Object.assign(sign, { id: 'pressed', textContent: key });
    sign.style.cssText = `position: fixed; left: 50%; bottom: 70px; z-index: 9; height: 52px; min-width: 52px; padding: 0 16px;
        font-size: 26px; translate: -50%; background: #171a21; color: #fff; border: 0`;
}"""


class Film:
    """Frames of a page, each with how long it stays, in milliseconds."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.stays: list[int] = []

    def shoot(self, stay: int, key: str = "") -> None:
        """Take a frame, with the key that is about to be pressed."""
        self.page.evaluate(PRESSED, key)
        frame = (
            Image.open(BytesIO(self.page.screenshot())).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
        )
        self.frames.append(frame.quantize(160, dither=Image.Dither.NONE))
        self.stays.append(stay)
        self.page.evaluate(PRESSED, "")

    def press(self, key: str, sign: str, stay: int = 500) -> None:
        """Show a key, press it, and wait for what it does."""
        self.shoot(stay, sign)
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(500)

    def save(self, file: Path) -> None:
        """Write the film."""
        first, *rest = self.frames
        first.save(file, save_all=True, append_images=rest, duration=self.stays, loop=0, optimize=True)


@contextmanager
def reviewed(out: Path) -> Iterator[str]:
    """Serve a copy of the newest run; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(out, Path(folder) / "out", symlinks=True)
        command = [
            str(Path(sys.executable).parent / "labelsweep"),
            "review",
            "--out",
            str(copy),
            "--reviewer",
            "Ada",
            "--port",
            "0",
        ]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(command, **piped) as server:  # noqa: S603 (our own command)
            assert server.stdout is not None
            yield server.stdout.readline().strip()
            server.terminate()


def film_review(page: Page, film: Film) -> None:
    """Decide some samples, find similar ones, and go around on the map: about a minute."""
    for key in "sssks4":
        film.shoot(2_200)
        film.press(key, key)
    film.shoot(1_500)
    film.press("e", "e")
    film.shoot(2_500)
    film.press("s", "s")
    film.shoot(1_500)
    film.press("z", "z")
    film.shoot(2_000)
    film.press("f", "f", 900)
    page.wait_for_selector("#tiles")
    page.wait_for_load_state("networkidle")
    film.shoot(4_500)
    page.click("text=Only those of the queue")
    page.wait_for_selector("#tiles")
    page.wait_for_load_state("networkidle")
    film.shoot(2_500)
    for _ in range(3):
        page.click("#tiles li[data-status=todo]:not([aria-selected=true]) >> nth=0")
        film.shoot(1_000)
    film.press("s", "s", 1_200)
    page.wait_for_selector("#saved[data-state=saved]")
    film.shoot(2_500)


def film_map(page: Page, film: Film, address: str) -> None:
    """Draw around samples on the map, and show them in the grid."""
    page.goto(f"{address}map")
    page.wait_for_selector("body[data-ready]")
    film.shoot(3_000)
    page.click("[data-view=classes]")
    page.wait_for_timeout(300)
    film.shoot(3_000)
    page.screenshot(path=HERE / "map.png")
    box = page.locator("#map").bounding_box()
    assert box is not None
    middle, radius = (box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.42), box["height"] * 0.16
    corners = [(1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7), (1, 0)]
    places = [(middle[0] + x * radius, middle[1] + y * radius) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for number, place in enumerate(places[1:]):
        page.mouse.move(*place, steps=6)
        if number % 2:
            page.wait_for_timeout(100)
            film.shoot(350)
    page.mouse.up()
    page.wait_for_timeout(300)
    film.shoot(2_500)
    page.click("#picked-all")
    page.wait_for_selector("#tiles")
    page.wait_for_load_state("networkidle")
    film.shoot(4_000)


def make_pictures(out: Path) -> None:
    """Write all pictures beside this file."""
    with reviewed(out) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_timeout(1_000)
        page.screenshot(path=HERE / "review.png")
        film = Film(page)
        film_review(page, film)
        film_map(page, film, address)
        film.save(HERE / "review.gif")
        page.set_viewport_size(REPORT)
        page.goto((out.resolve() / "runs" / "latest" / "report.html").as_uri())
        page.screenshot(path=HERE / "report.png")
        browser.close()


if __name__ == "__main__":
    make_pictures(Path(sys.argv[1]))
