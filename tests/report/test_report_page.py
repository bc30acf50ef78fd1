"""What report.html promises: self-contained, harmless whatever the data says, complete, and bounded in size."""

import io
import itertools
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from tasks.addresses import work_folder
from tasks.report import make_report, summarise
from tasks.report.sections import confusion, headline
from tasks.show.parts import Command
from tasks.show.policy import POLICY
from tasks.show.usual_values import describe_usual_columns
from tasks.show.view import RunView
from tasks.storage import read_json, write_json, write_table, write_text

Copied = Callable[[Path], Path]


class Page(HTMLParser):
    """The tags, their attributes, and the text of a page, as a browser's parser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def sections(self) -> list[str | None]:
        return [*self.shown, *(a["id"] for a in self.all("details") if a.get("class") == "fold")]

    @property
    def shown(self) -> list[str | None]:
        return [a["id"] for a in self.all("section") if a["id"] != "details"]


def page_of(run: Path) -> Page:
    return Page(make_report(run).html.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pages(
    digits_run: Path, plane_run: Path, hostile_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Page]:
    """Return the pages of the whole runs, made from copies."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"digits": digits_run, "plane": plane_run, "hostile": hostile_run}
    return {name: page_of(Path(shutil.copytree(run, folder / run.name))) for name, run in runs.items()}


@pytest.mark.parametrize("name", ["digits", "plane", "hostile"])
def test_page_loads_nothing_and_runs_its_own_script_alone(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    policies = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [POLICY]
    assert [a for a in page.all("script") if a] == []
    assert len(page.all("script")) == 1
    tags = {tag for tag, _ in page.tags}
    assert not tags & {
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "audio",
        "video",
        "foreignobject",
    }
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")], (tag, attributes)
        for key in ("src", "href", "srcset", "xlink:href", "action"):
            value = attributes.get(key) or ""
            assert value.startswith(("data:image/png;base64,", "#")) or value in ("", "data:,"), (
                tag,
                value[:80],
            )
        assert "url(" not in (attributes.get("style") or "").replace("url(#", "")
    css = "".join(re.findall(r"@import|url\(", " ".join(page.texts)))
    assert css == ""


def test_page_has_a_section_for_everything_a_run_can_show(pages: dict[str, Page]) -> None:
    folded = ["quality", "influence", "saliency", "fit", "convergence", "validation", "timing", "settings"]
    assert pages["digits"].sections == ["queue", "confusion", "conflicts", "controls", *folded]
    assert pages["plane"].sections == ["queue", "confusion", "plane", "conflicts", *folded]
    assert pages["plane"].shown == ["queue", "confusion", "plane", "conflicts"]


def test_controls_say_how_good_the_queue_is(pages: dict[str, Page]) -> None:
    text = pages["digits"].text
    assert "60 labels that nothing spoke against were flipped on purpose; your data were not touched" in text
    assert re.search(r"95.% interval", text)
    assert "Reviewed, from the top" in text


def test_navigation_leads_to_every_section(pages: dict[str, Page]) -> None:
    for page in pages.values():
        links = [a["href"] for a in page.all("a") if a.get("class") != "skip" and "href" in a]
        assert links == [f"#{anchor}" for anchor in [*page.shown, "details"]]


def test_ids_are_unique_and_references_resolve(pages: dict[str, Page]) -> None:
    for page in pages.values():
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        used = {(a.get("href") or "")[1:] for _, a in page.tags if (a.get("href") or "").startswith("#")}
        styles = " ".join(f"{a.get('style')} {a.get('clip-path')}" for _, a in page.tags)
        assert used | set(re.findall(r"url\(#([\w-]+)\)", styles)) <= set(ids)


def test_headline_says_what_was_found_and_what_to_do(pages: dict[str, Page], digits_run: Path) -> None:
    flagged = int(np.sum(pq.read_table(digits_run / "scores.parquet")["flagged"].to_numpy()))
    assert f"{flagged} of 1,797 samples look mislabeled" in pages["digits"].text
    assert f"labelsweep review {digits_run.name} --out /data/our results" not in pages["digits"].text
    assert f"labelsweep review {digits_run.name} --out '/data/our results'" in pages["digits"].text


def test_commands_name_the_store_of_a_run_that_worked_in_a_folder_of_its_own(
    plane_run: Path, copied: Copied
) -> None:
    run, address = copied(plane_run), "s3://team/labels"
    for folder, named in ((str(work_folder(address).absolute()), address), ("/results", "/results")):
        write_text(yaml.safe_dump({"out": folder, "publish": address}), run / "config.yaml")
        parts = headline.build(RunView(run), summarise(run)).parts
        assert [part.command for part in parts if isinstance(part, Command)] == [
            f"labelsweep review {run.name} --out {named}",
            f"labelsweep apply {run.name} --out {named}",
        ]


def test_sign_convention_stands_beside_the_influence(pages: dict[str, Page]) -> None:
    for page in pages.values():
        text = page.text
        assert (
            "positive = helpful, lower = more likely mislabeled"
            in text[text.index("Influence of the given labels") :]
        )


def test_cards_show_the_worst_samples_in_order(pages: dict[str, Page], digits_run: Path) -> None:
    queue = pq.read_table(digits_run / "queue.parquet").slice(0, 24)
    assert len(pages["digits"].all("article")) == 24
    text = pages["digits"].text
    places = [
        text.index(f"{rank} {name} given") for rank, name in enumerate(queue["sample_id"].to_pylist(), 1)
    ]
    assert places == sorted(places)
    alts = [a["alt"] or "" for a in pages["digits"].all("img")]
    assert sum(alt.startswith("Sample") and "given label" in alt for alt in alts) == 24
    assert sum(alt.startswith("Which pixels") for alt in alts) == 24


def test_numbers_of_the_evidence_have_the_same_decimals_on_all_cards(pages: dict[str, Page]) -> None:
    titles = "\n".join(item.get("title") or "" for item in pages["digits"].all("li"))
    for measure in ("distance", "influence"):
        numbers = re.findall(rf", {measure} (\S+)$", titles, re.MULTILINE)
        assert len(numbers) >= 24
        assert len({len(number.partition(".")[2]) for number in numbers}) == 1
        assert any(len(number.strip("−0.").replace(".", "")) >= 3 for number in numbers)


def test_everything_to_be_seen_has_words(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert all(a.get("alt") for a in page.all("img"))
        assert all(a.get("aria-label") and a.get("role") == "img" for a in page.all("svg"))
        assert len(page.all("caption")) == len(page.all("table"))
        headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-4]", tag)]
        assert headings[0] == 1
        assert headings.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(headings))


def test_hostile_text_is_shown_as_text(pages: dict[str, Page]) -> None:
    text = pages["hostile"].text
    assert "<script>alert(document.domain)</script>" in text
    assert '"><img src=x onerror=alert(1)>' in text
    assert "{{ 7 * 7 }}" in text
    assert "␛[31mred" in text
    assert "A" * 500 not in text


def test_no_control_or_direction_character_reaches_the_page(pages: dict[str, Page]) -> None:
    hidden = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
    for page in pages.values():
        everything = page.text + " ".join(value or "" for _, a in page.tags for value in a.values())
        assert not hidden.search(everything)


def test_a_run_that_did_not_converge_says_so_first(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    assert "Not converged" not in page_of(run).text
    entries = read_json(run / "model/convergence.json")
    entries["solve"][0] |= {"converged": False, "residual": 0.4}
    write_json(entries, run / "model/convergence.json")
    page = page_of(run)
    assert "1 of 3 iHVP solves did not reach the tolerance" in page.text
    assert page.text.index("Not converged") < page.text.index("The sweep of")
    assert [a.get("role") for a in page.all("p") if a.get("class") == "warning"] == ["alert", "alert"]


@pytest.mark.parametrize(
    ("missing", "sections"),
    [
        ("truth.parquet", {"quality"}),
        ("saliency.parquet", {"saliency"}),
        ("queue.parquet", {"queue", "saliency"}),
        ("scores.parquet", {"confusion", "influence", "plane", "quality"}),
        ("dataset.parquet", {"plane"}),
        ("model", set()),
        ("steps", {"validation", "timing", "plane", "saliency"}),
    ],
)
def test_sections_are_absent_when_their_data_is(
    pages: dict[str, Page], plane_run: Path, copied: Copied, missing: str, sections: set[str]
) -> None:
    path = copied(plane_run) / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert set(pages["plane"].sections) - set(page_of(path.parent).sections) == sections


def test_an_empty_folder_makes_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "nothing was audited" in page.text
    assert page.sections == ["settings"]


def test_nothing_flagged_says_so(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    scores = pq.read_table(run / "scores.parquet")
    nothing = pa.array(np.zeros(len(scores), dtype=bool))
    write_table(
        scores.set_column(scores.column_names.index("flagged"), "flagged", nothing), run / "scores.parquet"
    )
    write_table(pq.read_table(run / "queue.parquet").slice(0, 0), run / "queue.parquet")
    page = page_of(run)
    assert "None of 1,000 samples looks mislabeled" in page.text
    assert "There is nothing to review." in page.text
    assert "labelsweep review" not in page.text
    assert not {"queue", "confusion"} & set(page.sections)


def test_a_capped_queue_says_what_it_leaves_out(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    write_table(pq.read_table(run / "queue.parquet").slice(0, 10), run / "queue.parquet")
    rows = {"new": 0, "changed": 51, "same": 0, "removed": 0}
    counts = {"no_longer_flagged": 0, "shown": 51, "open": 0, "decided": 0}
    since = {"previous": "plane-1", "rows": rows, "flagged": {"now": 51, "newly": 51}, **counts}
    write_json(since, run / "since.json")
    text = page_of(run).text
    assert "This queue shows 10 new, changed or newly flagged samples." in text
    assert "The queue holds the worst 10 of the 51 flagged samples." in text
    assert "All 10 samples of the queue, worst first." in text


def test_pictures_that_do_not_decode_leave_the_rest_of_the_page(digits_run: Path, copied: Copied) -> None:
    run = copied(digits_run)
    queue = pq.read_table(run / "queue.parquet")
    images = [b"<svg onload=alert(1)>", b"", None, b"\x89PNG\r\n\x1a\nbroken"] * len(queue)
    column = pa.array(images[: len(queue)], pa.binary())
    write_table(queue.set_column(queue.column_names.index("image"), "image", column), run / "queue.parquet")
    page = page_of(run)
    assert len(page.all("article")) == 24
    assert "onload" not in "".join(str(a) for _, a in page.tags)


def test_page_of_photographs_and_a_hundred_thousand_samples_stays_small(
    plane_run: Path, copied: Copied
) -> None:
    run, generator, copies = copied(plane_run), np.random.default_rng(0), 100
    ids = pa.array([f"gaussians-{i:05d}" for i in range(100_000)])
    scores = pa.concat_tables([pq.read_table(run / "scores.parquet")] * copies)
    write_table(scores.set_column(0, "sample_id", ids), run / "scores.parquet")
    data = pa.concat_tables(
        [pq.read_table(run / "dataset.parquet").select(["sample_id", "features"])] * copies
    )
    photographs = [photograph(generator) for _ in range(50)] * 20
    images = pa.array(photographs + [None] * (len(data) - len(photographs)), pa.binary())
    write_table(data.set_column(0, "sample_id", ids).append_column("image", images), run / "dataset.parquet")
    queue = pq.read_table(run / "queue.parquet")
    write_table(queue.append_column("image", pa.array(photographs[: len(queue)])), run / "queue.parquet")
    (run / "truth.parquet").unlink()
    report = make_report(run)
    assert len(Page(report.html.read_text()).all("img")) > 100
    assert report.html.stat().st_size < 2_000_000


def photograph(generator: np.random.Generator) -> bytes:
    """Return a JPEG that compresses badly: coarse noise, as sharp as a forest."""
    small = generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((320, 240)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_page_is_the_same_for_the_same_run(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    first = make_report(run).html.read_bytes()
    assert make_report(run).html.read_bytes() == first


def test_report_leaves_no_partial_file(plane_run: Path, copied: Copied) -> None:
    run = copied(plane_run)
    before = {path.name for path in run.iterdir()}
    make_report(run)
    assert {path.name for path in run.iterdir()} - before == {"report.html", "summary.json"}


@pytest.mark.parametrize(("classes", "is_shown"), [(5, True), (200, False)])
def test_the_matrix_of_mix_ups_is_shown_where_it_holds_half_of_the_flagged(
    classes: int, *, is_shown: bool
) -> None:
    generator = np.random.default_rng(0)
    given = generator.integers(classes, size=300)
    suggested = (given + generator.integers(1, classes, size=300)) % classes
    names = tuple(f"class {number}" for number in range(classes))
    scores = SimpleNamespace(flagged=np.ones(300, bool), given=given, suggested=suggested, classes=names)
    section = confusion.build(SimpleNamespace(scores=scores), {})
    assert any(getattr(part, "heat", False) for part in section.parts) == is_shown


def test_a_column_of_names_speaks_for_no_class() -> None:
    rows = {"label": ["a", "b"] * 50, "name": [f"row {n}" for n in range(100)], "site": ["x", "y"] * 50}
    view = SimpleNamespace(some_rows=lambda columns, _: pa.table(rows).select(columns))
    assert list(describe_usual_columns(view, ("name", "site"), ("a", "b"))) == ["site"]
