"""Every code block of the README does what it says.

A block in bash or python is executed unless the line before it is `<!-- not run: reason -->`. The blocks run in
their order in one folder, so that one can use what an earlier one wrote.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


BLOCKS = blocks((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with the data and the files that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").mkdir()
    for name in ("digits.parquet", "penguins.csv", "make_examples.py"):
        shutil.copy(ROOT / "data" / name, folder / "data")
    for name in ("prefect.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line-{block.line}")
def test_code_block_runs(block: Block, folder: Path):
    if block.reason is not None:
        pytest.skip(block.reason)
    shell = ["bash", "-euo", "pipefail", "-c", block.code]
    done = subprocess.run(
        shell if block.language == "bash" else [sys.executable, "-c", block.code],
        cwd=folder,
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(folder / "prefect"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"README.md line {block.line}\n{done.stdout}\n{done.stderr}"


def test_a_block_that_is_not_run_says_why():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^ *```(?:bash|python)$", text, re.MULTILINE)) == len(BLOCKS)
    assert all(block.reason is None or block.reason.strip() for block in BLOCKS)


def test_blocks_are_found_with_their_lines_and_reasons():
    text = "# A\n\n```bash\ntrue\n```\n\n<!-- not run: needs a GPU -->\n```python\nx = 1\n\ny = 2\n```\n\n1. do\n\n   ```bash\n   ls\n     ls\n   ```\n"
    assert blocks(text) == [
        Block("bash", "true", 3, None),
        Block("python", "x = 1\n\ny = 2", 8, "needs a GPU"),
        Block("bash", "ls\n  ls", 16, None),
    ]
