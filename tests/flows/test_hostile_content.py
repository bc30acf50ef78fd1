"""Labels, texts, names of columns and files, reviewers and notes that try to run: nothing does, wherever they are shown."""

import ast
import csv
import io
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from markdown_it import MarkdownIt
from PIL import Image
from prefect.client.orchestration import get_client

from flows.cli import run
from flows.platform.artifacts import format_cell as cell_of_ui
from flows.platform.artifacts import format_code
from tasks.queue.spreadsheet import FORMULA_STARTS
from tasks.review.log import log_path
from tasks.show.images import write_safe_png
from tasks.terminal import write_one_line
from tasks.user_files import _SafeLoader

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "review"))
from review_server import Client, served  # noqa: E402

HOSTILE = (
    "<script>document.title = window.ran = 'ran'</script>",
    "<img src=http://127.0.0.1:9/x onerror=window.ran=1>",
    "<svg onload=window.ran=1><a href='javascript:window.ran=1'>",
    '"><body onpageshow=window.ran=1 style=background:url(//127.0.0.1:9)>',
    '=HYPERLINK("http://127.0.0.1:9";"x")',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\x1b]8;;http://127.0.0.1:9\x07click\x1b]8;;\x07",
    "\x1b]52;c;aGk=\x07\x9b2J",
    "\u202egnp.\u2066exe",
    "../../../../tmp/escaped",
    "a\x00b",
    "[x](javascript:window.ran=1) ![y](http://127.0.0.1:9/y) ~~~\n# {{7*7}}",
)
# What a terminal obeys; a line end is the one that we print ourselves.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
ID, LABEL, TEXT = "<b onclick=window.ran=1>id", "../label\x1b[31m", "=note<script>window.ran=1</script>"
CHROMIUM = Path("/usr/bin/chromium")


class Swept:
    """A run over such data, and all that was printed on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.printed = folder, folder / "out", ""

    def do(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        said, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            code = run([*arguments, "--out", str(self.out)])
        self.printed += said.getvalue() + complained.getvalue()
        assert code == 0, complained.getvalue()
        return said.getvalue()

    @property
    def run(self) -> Path:
        """The run folder."""
        return (self.out / "runs" / "latest").resolve()


def hostile_table(folder: Path) -> Path:
    """Write a table in which everything that a user names is hostile; 20 of its labels are wrong."""
    rng, kinds = np.random.default_rng(0), len(HOSTILE)
    kind = np.arange(kinds * 16) % kinds
    label = kind.copy()
    flipped = rng.permutation(len(kind))[:20]
    label[flipped] = (label[flipped] + 1) % kinds
    x = 3 * np.eye(kinds)[kind] + 0.3 * rng.normal(size=(len(kind), kinds))
    columns: dict[str, object] = {
        ID: [f"{HOSTILE[k]} {row}" for row, k in enumerate(kind)],
        LABEL: [HOSTILE[k] for k in label],
        TEXT: [HOSTILE[(k + 3) % kinds] for k in kind],
    }
    columns |= {f"{HOSTILE[k]} {k}".replace("\0", ""): x[:, k] for k in range(kinds)}
    path = folder / "<img src=x onerror=window.ran=1>\x1b]52;c;aGk=\x07..\u202e.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def swept(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    made = Swept(tmp_path_factory.mktemp("hostile"))
    (made.folder / "in").mkdir()
    source = hostile_table(made.folder / "in")
    made.do("clean", str(source), "--label", LABEL, "--id", ID, "--data-docs")
    with served(made.run, made.out, control_share=0.0) as site:
        client = Client(site.address, "<b>%0AEve</b>")
        client = Client(site.address, "=Eve<img src=x onerror=window.ran=1>")
        for item, note in zip(site.site.queue.items, HOSTILE, strict=False):
            assert client.decide(item, "suggestion", comment=note)[0] == 200
    return made


@contextmanager
def watched(address: str) -> Iterator[tuple[Any, list[str]]]:
    """Open an address in Chromium; yield the page and every request that left it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page, requests = browser.new_page(), []
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: requests.append(f"dialog: {dialog.message}"))
        page.goto(address)
        yield page, requests
        browser.close()


def harmless(page: Any) -> None:
    assert page.evaluate("window.ran") is None
    assert page.title() != "ran"


def test_nothing_runs_in_the_report_and_nothing_is_fetched(swept: Swept) -> None:
    report = (swept.run / "report.html").as_uri()
    with watched(report) as (page, requests):
        page.wait_for_timeout(300)
        harmless(page)
        assert "window.ran" in page.inner_text("body")  # it is shown, as text
        assert [url for url in requests if not url.startswith("data:")] == [report]
        # One script is the report's own; the policy lets no other run.
        assert page.evaluate("[...document.querySelectorAll('script, iframe, object, embed')].length") == 1
        # The policy itself holds, whatever the template would let through.
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/ onerror=window.ran=1>')"
        )
        page.wait_for_timeout(200)
        harmless(page)


def test_nothing_runs_on_the_review_page_and_nothing_is_fetched_elsewhere(swept: Swept) -> None:
    with (
        served(swept.run, swept.out, control_share=0.0, reviewer=HOSTILE[0]) as site,
        watched(site.address) as (
            page,
            requests,
        ),
    ):
        for path in ("/review?state=all", "/review?state=done", "/grid?state=all", "/insights"):
            page.goto(site.address + path)
            page.wait_for_timeout(200)
            harmless(page)
        page.goto(site.address + "/review?state=all")
        for _ in range(len(HOSTILE)):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(50)
        harmless(page)
        assert "window.ran" in page.inner_text("body")
        assert {url.split("/")[2] for url in requests if not url.startswith("data:")} == {
            site.address.split("/")[2]
        }
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=/x onerror=window.ran=1>')")
        page.wait_for_timeout(200)
        harmless(page)


def test_nothing_that_is_printed_is_obeyed_by_the_terminal(swept: Swept) -> None:
    for arguments in (
        ["runs"],
        ["runs", "--json"],
        ["apply", "--yes", "--no-gain"],
        ["export", "--to", "csv"],
        ["export", "--to", "label-studio"],
        ["import", str(swept.run / "queue.csv")],
    ):
        swept.do(*arguments)
    swept.do("diff", "0", "1")
    swept.do("diff", "0", "1", "--json")
    complained = io.StringIO()
    with redirect_stderr(complained):
        assert run(["clean", f"{swept.folder}/absent\x1b]52;c;aGk=\x07\u202e.csv"]) == 2
        assert run(["clean", "sample:digits", "--folds\x1b[2J", "3"]) == 2
    printed = swept.printed + complained.getvalue()
    assert "␛]52;c" in printed
    found = OBEYED.search(printed)
    assert found is None, repr(printed[max(found.start() - 80, 0) : found.end() + 20])


def test_no_cell_of_a_spreadsheet_runs(swept: Swept) -> None:
    swept.do("export", "--to", "csv")
    tables = [swept.run / "queue.csv", swept.out / "decisions.csv"]
    seen = 0
    for table in tables:
        for row in csv.reader(table.read_text("utf-8-sig").splitlines(keepends=True)):
            for cell in row:
                if cell.startswith(FORMULA_STARTS):
                    float(cell)  # a negative number, and nothing else
                seen += cell.startswith("'")
    assert seen > 2 * len(HOSTILE)


def test_what_the_prefect_ui_shows_holds_no_markup_of_the_data(swept: Swept) -> None:
    swept.do("apply", "--yes", "--no-gain")
    with get_client(sync_client=True) as client:
        artifacts = [
            one
            for one in client.read_artifacts()
            if swept.run.name in f"{one.data}{one.description}".replace("\\", "")
        ]
    assert {one.key.rpartition("-")[2] for one in artifacts} >= {
        "queue",
        "summary",
        "report",
    }
    for one in artifacts:
        shown = [one.description or "", one.data if one.type == "markdown" else ""]
        for text in shown:
            html = MarkdownIt("commonmark", {"html": True}).render(text)
            assert not re.search(r"<(script|svg|body|b\b|a href=.javascript|img src=.http)", html)
        assert not OBEYED.search(str(one.data).replace("\\n", ""))


def test_a_cell_of_a_table_in_the_prefect_ui_shows_just_its_text() -> None:
    markdown = MarkdownIt("commonmark", {"html": True})
    more = (
        "http://127.0.0.1:9/x www.x.y a@b.c",
        "    code",
        "# head",
        "---",
        "1. one",
        "a`b``c",
        "<http://x.y>",
    )
    for text in (*HOSTILE, *more):
        html = markdown.render(cell_of_ui(text))
        assert re.fullmatch(r"<p>[^<>]*</p>\n", html), html
        assert unescape(html[3:-5]) == write_one_line(" ".join(text.split()))
        assert not re.search(r"https?://|www\.|\w@\w", cell_of_ui(text))  # which some renderers make links of
        spanned = markdown.render(f"a {format_code(text)} b")
        assert re.fullmatch(r"<p>a <code>[^<>]*</code> b</p>\n", spanned), spanned


def test_no_name_of_the_data_becomes_a_path(swept: Swept) -> None:
    assert sorted(path.name for path in swept.folder.iterdir()) == ["in", "out"]
    names = {part for path in swept.out.rglob("*") for part in path.relative_to(swept.out).parts}
    odd = {name for name in names if not re.fullmatch(r"[A-Za-z0-9_.=+-]+", name)}
    # The corrected copy of the user's own file has the name that the user gave it.
    assert odd <= {path.name for path in (swept.folder / "in").iterdir()}
    assert not Path("/tmp/escaped").exists()  # noqa: S108 (what a label names)


def test_label_studio_is_given_what_it_can_read_and_labels_come_back(swept: Swept, tmp_path: Path) -> None:
    swept.do("export", "--to", "label-studio", "--file", str(tmp_path))
    choices = ET.parse(tmp_path / "config.xml").iter("Choice")  # noqa: S314 (our own)
    # '=1' behind a tab and behind a line end are two spellings of one class.
    assert len([one for one in choices if one.get("value") not in ("drop", "unsure")]) == len(HOSTILE) - 1


def test_pictures_lose_all_but_their_pixels(tmp_path: Path) -> None:
    script = b"<script>window.ran=1</script><?php system('id') ?>"
    picture, exif = Image.fromarray(np.full((6, 6, 3), 7, dtype=np.uint8)), Image.Exif()
    exif[0x010E] = script.decode()
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        file = io.BytesIO()
        picture.save(file, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}))
        shown = write_safe_png(file.getvalue() + script)
        assert shown is not None
        assert shown.startswith(b"\x89PNG")
        assert b"<script" not in shown
        assert b"<?php" not in shown
        with Image.open(io.BytesIO(shown)) as again:
            assert again.size == (6, 6)
            assert not again.getexif()
    for not_one in (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran=1'/>",
        b"GIF89a/*" + script,
        b"%PDF-1.4" + script,
    ):
        assert write_safe_png(not_one) is None


class Bomb:
    """What runs when it is unpickled: a marker file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._marker,)


def test_a_planted_pickle_is_never_unpickled(swept: Swept, tmp_path: Path, prefect_server: None) -> None:
    marker = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(marker))
    pickle.loads(bomb)  # noqa: S301 (it does explode)
    assert marker.exists()
    marker.unlink()
    copy = Swept(tmp_path)
    shutil.copytree(swept.out, copy.out, symlinks=True)
    folder = copy.run
    for path in list(folder.rglob("*")):  # everything of a run that a store could have exchanged
        if path.is_file() and path.suffix in (".safetensors", ".f32", ".json", ".parquet"):
            path.with_suffix(".pkl").write_bytes(bomb)
    for name in ("features.npy", "model.pt", "model/theta-0.pkl", "steps/ingest.pickle"):
        (folder / name).write_bytes(bomb)
    for victim in (
        "queue.parquet",
        "saliency.parquet",
        "summary.json",
        "steps/ingest.json",
        "dataset.parquet",
    ):
        before = (folder / victim).read_bytes()
        (folder / victim).write_bytes(bomb)
        for command in (
            ["runs"],
            ["apply", "--yes"],
            ["export", "--to", "label-studio", "--file", str(tmp_path / "ls")],
        ):
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                run([*command, "--out", str(copy.out)])
        (folder / victim).write_bytes(before)
    log_path(copy.out).write_bytes(bomb)
    for name in (
        "data.parquet",
        "data.csv",
        "data.jsonl",
        "data.arrow",
        "data.feather",
        "data.pkl",
        "data.npy",
        "data.csv.gz",
    ):
        (tmp_path / name).write_bytes(bomb)
        with redirect_stderr(io.StringIO()) as complained:
            assert run(["clean", str(tmp_path / name), "--out", str(tmp_path / "new"), "--quiet"]) == 2
        assert "error: " in complained.getvalue()
    assert not marker.exists()


# What torch calls a file that is more than weights, and processes of our own that the benchmark starts.
HARMLESS = {"UnpicklingError", "Parallel", "delayed", "parallel_config"}


def test_no_code_of_ours_reads_a_pickle() -> None:
    found = []
    for path in [*(ROOT / "flows").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and {one.name for one in node.names} <= HARMLESS:
                continue
            if {name.partition(".")[0] for name in names} & {
                "pickle",
                "cloudpickle",
                "dill",
                "joblib",
                "shelve",
                "marshal",
            }:
                found.append(f"{path.name}:{node.lineno}: import")
            if isinstance(node, ast.Call) and not _is_safe(node):
                found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)[:60]}")
    assert found == []


def _is_safe(call: ast.Call) -> bool:
    """Whether a call reads no pickle and runs no text."""
    name = ast.unparse(call.func)
    options = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name == "yaml.load":  # a loader of ours that is a SafeLoader
        return options.get("Loader") == "_SafeLoader" and issubclass(_SafeLoader, yaml.SafeLoader)
    if name.rpartition(".")[2] in ("read_pickle", "to_pickle") or name in ("eval", "exec"):
        return False
    if name == "torch.load":
        return options.get("weights_only") == "True"
    return (
        options.get("allow_pickle", "False") == "False"
        and options.get("trust_remote_code", "False") == "False"
    )


def test_what_runs_code_of_others_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run(["clean", "--help"])
    told = " ".join(re.sub(r"[│|]", " ", capsys.readouterr().out).split())
    assert "name only code that you trust" in told  # --model
    assert "name one that you trust" in told  # --encoder
    assert "only code that you trust" in " ".join(
        (ROOT / "docs" / "networks.md").read_text(encoding="utf-8").split()
    )
