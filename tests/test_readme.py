"""The code blocks of the README run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCK = re.compile(r"(?P<before>[^\n]*)\n```(?P<kind>bash|python)\n(?P<code>.*?)```", re.DOTALL)
BLOCKS = [match for match in BLOCK.finditer(README) if "not run:" not in match["before"]]


@pytest.mark.parametrize("block", BLOCKS, ids=[match["kind"] for match in BLOCKS])
def test_a_block_of_the_readme_runs(block: re.Match[str], tmp_path: Path) -> None:
    shell = ["bash", "-e", "-c"] if block["kind"] == "bash" else [sys.executable, "-c"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*shell, block["code"]],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "PREFECT_HOME": str(tmp_path / "prefect")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]


def test_both_kinds_of_blocks_are_there() -> None:
    assert {match["kind"] for match in BLOCKS} == {"bash", "python"}
