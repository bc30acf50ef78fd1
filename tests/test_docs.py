"""Every code block of README and docs does what it says, the site builds without a warning, and the notebooks run.

A block in bash or python is executed unless the line before it is `<!-- not run: reason -->`. The blocks of a page run
in their order in one folder, so that one can use what an earlier one wrote.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
# Lines of a block may be indented, as in a list.
BLOCK = re.compile(
    r"^(?:[ ]*<!-- not run: (?P<reason>[^\n]*?) -->\n)?(?P<indent>[ ]*)```(?P<language>bash|python)\n(?P<code>.*?)\n(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A code block, and why it is not run, if it is not."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a Markdown text."""
    return [
        Block(
            match["language"],
            "\n".join(line.removeprefix(match["indent"]) for line in match["code"].split("\n")),
            text.count("\n", 0, match.start("language")) + 1,
            match["reason"],
        )
        for match in BLOCK.finditer(text)
    ]


PAGES = {
    str(page.relative_to(ROOT)): blocks(page.read_text(encoding="utf-8"))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
BLOCKS = [(page, block) for page, found in PAGES.items() for block in found]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Return for each page a folder with the data and the files that the pages speak of."""
    folders = {page: tmp_path_factory.mktemp("docs") for page in PAGES}
    for folder in folders.values():
        (folder / "data").mkdir()
        for name in ("digits.parquet", "penguins.csv", "make_examples.py"):
            shutil.copy(ROOT / "data" / name, folder / "data")
        for name in ("prefect.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
    return folders


@pytest.mark.parametrize(
    ("page", "block"), BLOCKS, ids=lambda value: value if isinstance(value, str) else f"line-{value.line}"
)
def test_code_block_runs(page: str, block: Block, folders: dict[str, Path]):
    if block.reason is not None:
        pytest.skip(block.reason)
    shell = ["bash", "-euo", "pipefail", "-c", block.code]
    done = subprocess.run(
        shell if block.language == "bash" else [sys.executable, "-c", block.code],
        cwd=folders[page],
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(folders[page] / "prefect"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{page} line {block.line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_is_not_run_says_why(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(re.findall(r"^ *```(?:bash|python)$", text, re.MULTILINE)) == len(PAGES[page])
    assert all(block.reason is None or block.reason.strip() for block in PAGES[page])


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "load_wine" in (tmp_path / "python-api.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_notebook_runs(path: Path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, as_version=4)
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("runs", "datasets"))
    # A cell that raises ends the run; the cells themselves assert what they show.
    run = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    assert any(
        "assert" in cell.source and cell.execution_count for cell in run.cells if cell.cell_type == "code"
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_blocks_are_found_with_their_lines_and_reasons():
    text = "# A\n\n```bash\ntrue\n```\n\n<!-- not run: needs a GPU -->\n```python\nx = 1\n\ny = 2\n```\n\n1. do\n\n   ```bash\n   ls\n     ls\n   ```\n"
    assert blocks(text) == [
        Block("bash", "true", 3, None),
        Block("python", "x = 1\n\ny = 2", 8, "needs a GPU"),
        Block("bash", "ls\n  ls", 16, None),
    ]
