"""Every line of the README's list of examples finds the wrong labels of its kind of input, on real data."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import run
from tasks.storage import read_json

ROOT = Path(__file__).parents[2]
LINES = re.findall(
    r"^labelsweep clean (examples/[^#\n]+?)\s*#",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
# Far below what each reaches (.70 the texts, .89 to 1.00 the others), far above chance (.06).
LEAST = 0.5


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    make = [sys.executable, str(ROOT / "data" / "make_examples.py"), str(folder / "examples")]
    subprocess.run(make, check=True, timeout=120)
    return folder


def test_every_kind_of_input_has_an_example():
    text = " ".join(LINES)
    for option in (
        "--text",
        "--image",
        "--embedding",
        "--pred-probs",
        "--model",
        "--raters",
        "examples/digits",
        "examples/scans/",
    ):
        assert option in text


@pytest.mark.parametrize("line", LINES)
def test_the_example_finds_its_wrong_labels(line, home, prefect_server, capsys, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home / "examples"))
    assert (
        run(
            [
                "clean",
                *shlex.split(line),
                "--quiet",
                "--controls",
                "0",
                "--folds",
                "3",
                "--rounds",
                "1",
                "--out",
                "out",
            ]
        )
        == 0
    ), capsys.readouterr().err
    summary = read_json(home / "out" / "runs" / "latest" / "summary.json")
    if "--truth" in line:
        assert summary["quality"]["average_precision"] > LEAST
    assert summary["queue"]["flagged"] > 0
