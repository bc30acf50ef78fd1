"""The review page in a real browser: what a reviewer's hands and eyes meet."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from review_server import Client, Process, Served, served
from run_folder import stretched

from tasks.review.log import read_log
from tasks.review.state import Filter, ReviewOptions
from tasks.storage import finish_run, read_json, write_json, write_table

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="the page is tested in a browser through Playwright"
)
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this machine")

Page = Any


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1360, "height": 860})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield tab
    context.close()
    ours = [line for line in problems if "Failed to load resource" not in line]
    assert ours == []


def opened(tab: Page, address: str) -> Page:
    tab.goto(address)
    tab.wait_for_selector("body[data-ready]")
    return tab


def at(tab: Page) -> int:
    return int(tab.get_attribute(".sample", "data-position"))


def press(tab: Page, key: str) -> None:
    """Press a key and wait for the next sample, or the end."""
    before = at(tab)
    tab.keyboard.press(key)
    tab.wait_for_selector(f'.sample:not([data-position="{before}"]), #end:not([hidden])')


def test_one_key_decides_and_the_next_sample_shows(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    items = page.site.queue.items
    for key in ("k", "s", "d", "u", "7"):
        press(tab, key)
    rows = read_log(out)
    assert [row.decision for row in rows] == [
        "keep",
        "relabel",
        "drop",
        "unsure",
        "keep" if items[4].given == "7" else "relabel",
    ]
    assert rows[1].new_label == items[1].suggested
    assert [row.sample_id for row in rows] == [item.sample_id for item in items[:5]]
    assert all(row.seconds is not None and 0 < row.seconds < 20 for row in rows)
    assert at(tab) == 5
    assert f"row {rows[-1].seq}" in tab.inner_text("#saved")


def test_every_button_does_what_its_key_does(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    for button in ("keep", "suggestion", "drop", "unsure"):
        before = at(tab)
        tab.click(f'[data-decision="{button}"]')
        tab.wait_for_selector(f'.sample:not([data-position="{before}"])')
    tab.click('.classes [data-label="3"]')
    tab.wait_for_selector('.sample[data-position="5"]')
    assert [row.decision for row in read_log(out)][:4] == ["keep", "relabel", "drop", "unsure"]


def test_a_picture_that_the_server_has_not_read_yet_is_asked_for_again(page: Served, tab: Page) -> None:
    made, asked = page.site.image, []

    def late(sample: str, size: Any) -> Any:
        asked.append(sample)
        return made(sample, size) if asked.count(sample) > 2 else None

    page.site.image = late
    opened(tab, page.address)
    tab.wait_for_function("() => document.querySelector('.exhibit img').naturalWidth > 0")
    assert asked.count(page.site.queue.items[0].sample_id) >= 3


def test_keys_rest_while_somebody_types(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    tab.keyboard.press("c")
    tab.keyboard.type("sudz k7?")
    assert tab.input_value("#comment") == "sudz k7?"
    assert read_log(out) == []
    tab.keyboard.press("Escape")
    press(tab, "k")
    assert [row.comment for row in read_log(out)] == ["sudz k7?"]


def test_keys_of_the_browser_stay_with_the_browser(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    for key in ("Control+d", "Control+s", "Alt+k", "Meta+u"):
        tab.keyboard.press(key)
    tab.wait_for_timeout(200)
    assert read_log(out) == []


def test_nothing_is_preselected(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    for key in ("Enter", "Space"):
        tab.keyboard.press(key)
    tab.wait_for_timeout(200)
    assert read_log(out) == []
    assert tab.locator("[aria-pressed=true], .act:focus").count() == 0


def test_undo_goes_back_over_samples_and_shows_them(page: Served, tab: Page, out: Path) -> None:
    opened(tab, page.address)
    for key in ("k", "s", "d"):
        press(tab, key)
    for place in (2, 1):
        tab.keyboard.press("z")
        tab.wait_for_selector(f'.sample[data-position="{place}"][data-status="todo"]')
    assert [row.decision for row in read_log(out)] == ["keep", "relabel", "drop", "undo", "undo"]
    press(tab, "u")
    page.site.review.refresh()
    assert page.site.review.status(page.site.queue.items[1], "Ada") == "unsure"


def test_arrows_look_without_deciding_and_an_answer_can_be_changed(
    page: Served, tab: Page, out: Path
) -> None:
    opened(tab, page.address)
    press(tab, "k")
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_selector('.sample[data-position="0"][data-status="keep"]')
    assert "Your decision: keep" in tab.inner_text(".sample").replace("\n", " ")
    press(tab, "s")
    assert [row.decision for row in read_log(out)] == ["keep", "relabel"]


def test_help_shows_keys_and_guideline(digits: Path, out: Path, tab: Page) -> None:
    with served(digits, out, reviewer="Ada", options=ReviewOptions(guideline="A seven has a bar.")) as site:
        opened(tab, site.address)
        tab.keyboard.press("?")
        text = tab.inner_text("dialog[open]")
        assert "keep the given label" in text
        assert "A seven has a bar." in text
        tab.keyboard.press("k")
        tab.keyboard.press("Escape")
        assert tab.locator("dialog[open]").count() == 0
        assert read_log(out) == []


def test_a_refresh_loses_nothing_and_stays_on_the_sample(page: Served, tab: Page) -> None:
    opened(tab, page.address)
    for key in ("k", "s", "ArrowRight"):
        press(tab, key)
    here = at(tab)
    tab.reload()
    tab.wait_for_selector("body[data-ready]")
    assert at(tab) == here == 3
    assert tab.inner_text("#progress-text").startswith("2 of")


def test_two_browsers_work_on_one_queue_without_meeting(digits: Path, out: Path, chromium: Any) -> None:
    with served(digits, out) as site:
        tabs = []
        for name in ("Ada", "Bo"):
            tab = chromium.new_context().new_page()
            tab.goto(site.address)
            tab.fill("#name", name)
            tab.click("text=Start reviewing")
            tab.wait_for_selector("body[data-ready]")
            tabs.append(tab)
        for _ in range(8):
            for tab in tabs:
                press(tab, "s")
        rows = read_log(out)
        assert len({row.sample_id for row in rows}) == len(rows) == 16
        assert {name: sum(row.reviewer == name for row in rows) for name in ("Ada", "Bo")} == {
            "Ada": 8,
            "Bo": 8,
        }
        for tab in tabs:
            tab.context.close()


def test_a_decision_that_the_server_did_not_take_is_not_called_saved(out: Path, tab: Page) -> None:
    server = Process(out, "digits-run", "--reviewer", "Ada", "--port", str(free_port()))
    port = server.address.rstrip("/").rpartition(":")[2]
    try:
        opened(tab, server.address)
        press(tab, "k")
        server.kill()
        tab.keyboard.press("s")
        tab.wait_for_selector("#saved[data-state=waiting]")
        assert at(tab) == 1
        assert len(read_log(out)) == 1
        server = Process(out, "digits-run", "--reviewer", "Ada", "--port", port)
        tab.wait_for_selector("#saved[data-state=saved]")
        tab.wait_for_selector('.sample[data-position="2"]')
        assert [row.decision for row in read_log(out)] == ["keep", "relabel"]
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_end_of_the_queue_says_so(page: Served, tab: Page) -> None:
    opened(tab, page.address)
    first = page.site.queue.items[0]
    opened(tab, f"{page.address}/review?given={first.given}&suggested={first.suggested}")
    for _ in page.site.review.select(Filter(given=first.given, suggested=first.suggested), "Ada"):
        press(tab, "s")
    assert "every decision is saved" in tab.inner_text("#end")


def test_more_than_nine_classes_are_found_by_name(wine: Path, out: Path, tab: Page) -> None:
    path = wine / "steps" / "ingest.json"
    entry = read_json(path)
    grapes = [
        "Silvaner",
        "Merlot",
        "Riesling",
        "Rieslaner",
        "Malbec",
        "Syrah",
        "Cinsault",
        "Carignan",
        "Zweigelt",
    ]
    entry["record"]["classes"] += grapes
    write_json(entry, path)
    finish_run(wine)
    with served(wine, out, reviewer="Ada") as site:
        opened(tab, site.address)
        assert tab.locator(".classes button").count() == 5
        tab.keyboard.press("/")
        tab.keyboard.type("ries")
        tab.keyboard.press("ArrowDown")
        assert tab.inner_text("#class-list [aria-selected=true]") == "Rieslaner"
        before = at(tab)
        tab.keyboard.press("Enter")
        tab.wait_for_selector(f'.sample:not([data-position="{before}"])')
        likeliest = tab.get_attribute('.classes [aria-keyshortcuts="1"]', "data-label")
        press(tab, "1")
        assert tab.get_attribute('#recent [aria-keyshortcuts="6"]', "data-label") == "Rieslaner"
        press(tab, "6")
    assert [row.new_label for row in read_log(out)] == ["Rieslaner", likeliest, "Rieslaner"]


def test_the_grid_says_how_many_and_applies_to_just_those(page: Served, tab: Page, out: Path) -> None:
    opened(tab, f"{page.address}/grid")
    assert tab.locator("#bulk [data-decision]:not([disabled])").count() == 0
    tab.click("#tiles li >> nth=0")
    tab.click("#tiles li >> nth=3", modifiers=["Shift"])
    assert tab.inner_text("#selected") == "4 samples selected"
    assert tab.inner_text('#bulk [data-decision="suggestion"] .n') == "4"
    tab.keyboard.press("s")
    tab.wait_for_selector("#saved[data-state=saved]")
    rows = read_log(out)
    assert [row.sample_id for row in rows] == [item.sample_id for item in page.site.queue.items[:4]]
    assert len({row.action for row in rows}) == 1
    assert tab.inner_text("#progress-text").startswith("4 of")
    tab.keyboard.press("z")
    tab.wait_for_selector("text=Took back 4 decisions")
    assert [row.decision for row in read_log(out)][4:] == ["undo"] * 4


def test_the_grid_says_how_to_select_and_names_the_keys_of_the_user(
    digits: Path, out: Path, tab: Page
) -> None:
    with served(digits, out, reviewer="Ada", options=ReviewOptions(keys={"undo": "q"})) as site:
        opened(tab, f"{site.address}/grid")
        for key in "/k":
            tab.keyboard.press(key)
            assert tab.inner_text("#saved") == "Select samples first: Space selects one, a the page."
        tab.click("#tiles li >> nth=0")
        tab.keyboard.press("/")
        assert tab.evaluate("document.activeElement.id") == "bulk-class"
        tab.keyboard.press("Escape")
        tab.keyboard.press("s")
        tab.wait_for_selector("text=q takes it back.")


def test_the_grid_works_by_keyboard_alone_on_all_results(digits: Path, out: Path, tab: Page) -> None:
    stretched(digits, 300)
    with served(digits, out, reviewer="Ada", control_share=0) as site:
        opened(tab, f"{site.address}/grid")
        tab.focus("#tiles li >> nth=0")
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Space")
        assert tab.inner_text("#selected") == "1 sample selected"
        tab.keyboard.press("a")
        assert tab.inner_text("#selected") == "120 samples selected"
        tab.keyboard.press("a")
        assert tab.inner_text("#selected") == "300 samples selected, on all pages"
        tab.keyboard.press("k")
        assert "Keep 300 samples, on all pages" in tab.inner_text("dialog[open]")
        tab.keyboard.press("Escape")
        assert read_log(out) == []
        tab.keyboard.press("k")
        tab.wait_for_selector("dialog[open]")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#saved[data-state=saved]")
    assert len(read_log(out)) == 300


def test_of_ten_thousand_the_next_samples_are_there_before_they_are_asked_for(
    digits: Path, out: Path, tab: Page
) -> None:
    stretched(digits, 10_000)
    with served(digits, out, reviewer="Ada") as site:
        opened(tab, site.address)
        assert "10" in tab.inner_text("#progress-text")
        tab.wait_for_load_state("networkidle")  # a glance: the next ones are fetched meanwhile
        tab.route("**/item/**", lambda route: route.abort())
        first = at(tab)
        press(tab, "s")
        press(tab, "k")
        assert at(tab) == first + 2
    assert len(read_log(out)) == 2


def test_the_figures_appear_once_there_is_something_to_say(page: Served, tab: Page) -> None:
    client = Client(page.address)
    for item in page.site.queue.items[:40]:
        client.decide(item, "suggestion" if item.position % 4 else "keep")
    opened(tab, page.address)
    assert "of the last" in tab.inner_text("#figures")
    assert "errors in the queue" in tab.inner_text("#figures")


def test_a_stop_is_suggested_when_nothing_wrong_is_found_any_more(digits: Path, out: Path, tab: Page) -> None:
    stretched(digits, 300)
    with served(digits, out, reviewer="Ada", control_share=0) as site:
        opened(tab, f"{site.address}/grid")
        tab.keyboard.press("a")
        tab.keyboard.press("k")
        tab.wait_for_selector("#saved[data-state=saved]")
        opened(tab, f"{site.address}/review")
        assert "You may stop here" in tab.inner_text("#stop")
        press(tab, "k")


def test_everything_that_can_be_pressed_has_a_name_a_size_and_visible_focus(page: Served, tab: Page) -> None:
    for path in ("/review", "/grid", "/insights"):
        opened_or_not = tab.goto(page.address + path)
        assert opened_or_not.status == 200
        found = tab.evaluate(
            """() => [...document.querySelectorAll('button, a[href], input:not([type=hidden]), select, summary')]
                .filter((e) => e.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true }) && !e.disabled)
                .map((e) => {
                    e.focus();
                    const box = e.getBoundingClientRect();
                    const name = (e.innerText || e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.title || '').trim();
                    return { tag: e.tagName, name, height: box.height, seen: e.matches(':focus') };
                })"""
        )
        assert len(found) > 4
        assert [e for e in found if not e["name"]] == []
        assert [e for e in found if not e["seen"]] == []
        # WCAG 2.2, 2.5.8: targets of at least 24 CSS pixels.
        assert [e for e in found if e["height"] < 24 and e["tag"] != "A"] == []
    tab.goto(page.address + "/review")
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_pictures_have_alternatives_and_fields_have_labels(page: Served, tab: Page) -> None:
    opened(tab, page.address)
    assert tab.locator("img:not([alt])").count() == 0
    assert tab.get_attribute(".exhibit .picture", "alt") == f"Sample {page.site.queue.items[0].sample_id}"
    assert tab.evaluate(
        "() => [...document.querySelectorAll('input')].every((e) => e.type === 'hidden' || e.labels.length)"
    )
    assert tab.locator("html[lang=en]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Served, chromium: Any, scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme)
    tab = context.new_page()
    for path in ("/review", "/grid", "/insights", "/name"):
        tab.goto(page.address + path)
        weak = tab.evaluate(CONTRAST)
        assert weak == []
    context.close()


# Relative luminance and contrast as WCAG 2.2 defines them (1.4.3: at least 4.5, 3 for large text).
CONTRAST = """() => {
    const parse = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
    const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = (e) => {
        for (let n = e; n; n = n.parentElement) {
            const color = parse(getComputedStyle(n).backgroundColor);
            if (color.length && (color.length < 4 || color[3] === 1)) return color;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('body *')].filter((e) => e.offsetParent && !e.disabled
        && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
            const style = getComputedStyle(e);
            const [a, b] = [light(parse(style.color)), light(ground(e))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
            return { text: e.textContent.trim().slice(0, 30), ratio, enough: ratio >= (large ? 3 : 4.5) };
        }).filter((e) => !e.enough);
}"""


@pytest.mark.parametrize(("width", "height"), [(820, 1180), (1180, 820), (768, 1024)])
def test_a_tablet_shows_sample_and_buttons_without_sideways_scrolling(
    page: Served, chromium: Any, width: int, height: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": height}, has_touch=True)
    tab = context.new_page()
    opened(tab, page.address)
    assert tab.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for part in (".exhibit .picture", '[data-decision="keep"]', '[data-decision="drop"]', "#undo"):
        box = tab.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
    tab.tap('[data-decision="keep"]')
    tab.wait_for_selector('.sample[data-position="1"]')
    context.close()


def test_pages_for_text_show_text(wine: Path, out: Path, tab: Page) -> None:
    queue = pq.read_table(wine / "queue.parquet")
    words = "A wine of some depth & length, <em>not</em> for children. " * 4
    prose = pa.array([f"Row {n}.\n{words}" for n in range(len(queue))])
    write_table(queue.append_column("note", prose), wine / "queue.parquet")
    data = pq.read_table(wine / "dataset.parquet")
    write_table(
        data.append_column("note", pa.array(np.full(len(data), "A neighbour."))), wine / "dataset.parquet"
    )
    path = wine / "steps" / "ingest.json"
    entry = read_json(path)
    entry["record"]["display_columns"] = ["note"]
    write_json(entry, path)
    finish_run(wine)
    with served(wine, out, reviewer="Ada", control_share=0) as site:
        opened(tab, site.address)
        assert tab.inner_text(".exhibit .prose").startswith(
            "Row 0.\nA wine of some depth & length, <em>not</em>"
        )
        press(tab, "k")
        time.sleep(0.1)
        assert tab.inner_text(".exhibit .prose").startswith("Row 1.")
