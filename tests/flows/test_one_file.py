"""What CONTRIBUTING promises: a score, a solver, a format or a section of the report is one more file, registered nowhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from flow_command import environment
from pyarrow import orc
from pyarrow import parquet as pq

from tasks.storage import read_json

SCORE = '''"""How much more probable the given label is than the best other one."""


def judge(scores):
    return scores.margin, scores.margin < 0
'''
SOLVER = '''"""LU factorisation of the dense Hessian, fold by fold."""

import torch


def solve(hessian, rhs, tolerance, max_iterations):
    pairs = zip(hessian.dense(), rhs.unbind(dim=1), strict=True)
    return torch.stack([torch.linalg.solve(h, g.reshape(-1)).reshape(g.shape) for h, g in pairs], dim=1)
'''
FORMAT = '''"""Read ORC."""

from dataclasses import dataclass

import pyarrow as pa
from pyarrow import orc

from tasks.ingest.source import Part

SUFFIXES, GZIP, TYPED = (".orc",), False, True


@dataclass(frozen=True)
class OrcReader:
    part: Part
    schema: pa.Schema

    def batches(self, columns, rows):
        with self.part.open() as file:
            yield from orc.ORCFile(file).read(columns=list(columns)).to_batches(max_chunksize=rows)

    def place(self, row):
        return f"row {row + 1}"


def open_part(part, as_text):
    with part.open() as file:
        return OrcReader(part, orc.ORCFile(file).schema)
'''
SECTION = '''"""Who wrote this."""

from tasks.show.parts import Section, Text


def build(view, summary):
    return Section("mine", "A section of mine", [Text("from one file")], "Mine")
'''
FILES = {
    "attribute/scores/margin.py": SCORE,
    "heads/solvers/lu.py": SOLVER,
    "ingest/formats/orc.py": FORMAT,
    "report/sections/mine.py": SECTION,
}


def test_a_newcomer_adds_a_score_a_solver_a_format_and_a_section_by_one_file_each(tmp_path: Path):
    code = tmp_path / "code"
    for package in ("flows", "tasks", "data"):
        there = Path(__file__).parents[2] / package
        shutil.copytree(there, code / package, ignore=shutil.ignore_patterns("__pycache__", "runs", "bench"))
    for name, text in FILES.items():
        (code / "tasks" / name).write_text(text, encoding="utf-8")
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    points = generator.normal(size=(200, 2)) + 4 * labels[:, None]
    given = np.where(np.arange(200) < 10, 1 - labels, labels)
    columns = {"number": range(200), "x": points[:, 0], "y": points[:, 1], "label": given}
    orc.write_table(pa.table(columns), tmp_path / "points.orc")

    home = environment(tmp_path)
    site = home["PYTHONPATH"].split(os.pathsep)[0]
    options = [
        "--id",
        "number",
        "--score",
        "margin",
        "--solver",
        "lu",
        "--rounds",
        "1",
        "--controls",
        "0",
        "--out",
        "out",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "flows.cli", "clean", "points.orc", *options],
        cwd=tmp_path,
        env=home | {"PYTHONPATH": os.pathsep.join([site, str(code)])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "out" / "runs" / "latest"
    queued = pq.read_table(folder / "queue.parquet", columns=["sample_id"])["sample_id"].to_pylist()
    assert {str(row) for row in range(10)} <= set(queued)
    solves = read_json(folder / "model" / "convergence.json")["solve"]
    assert all(solve["residual"] < 1e-9 for solve in solves)  # an exact solver did it
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "from one file" in page
    assert page.index('id="timing"') < page.index('id="mine"') < page.index('id="settings"')
