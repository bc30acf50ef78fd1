"""What CONTRIBUTING promises: a score, a solver, a format, a section of the report, a model or an opinion is one file, registered nowhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from flow_command import environment
from pyarrow import orc
from pyarrow import parquet as pq
from safetensors.torch import load_file

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
TREES = '''"""Linear heads, and extremely randomised trees whose opinion stands beside them."""

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier

from tasks.models import linear


class Model(linear.Model):
    def collect_opinions(self, keep, number):
        x = torch.cat([block.cpu() for _, block in self.samples.features.blocks()]).numpy()
        y, everything = self.samples.labels.cpu().numpy(), slice(0, len(keep))
        fitted = (self.design.fitted(everything) & keep[:, None]).cpu().numpy()
        own = self.design.out_of_fold(everything).cpu().numpy()
        p = np.full((len(y), self.samples.n_classes), 1e-3)
        for fold in range(self.design.folds):
            rows = fitted[:, fold]
            trees = ExtraTreesClassifier(random_state=self.options.seed).fit(x[rows], y[rows])
            unseen = np.flatnonzero(own == fold)
            p[np.ix_(unseen, trees.classes_)] += trees.predict_proba(x[unseen])
        return torch.from_numpy(np.log(p / p.sum(1, keepdims=True)))[None]
'''
LDA = '''"""Heads on the directions of linear discriminant analysis, which every fold learns from its own training samples."""

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tasks.heads.features import MemoryFeatures
from tasks.heads.learned import Learned, LearnedFeatures


class Model(LearnedFeatures):
    def learn_fold(self, index, seed, fold, folder):
        features = self.samples.features
        raw, labels = features.take(index), self.samples.labels[index]
        found = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(raw.cpu(), labels.cpu())
        axes = torch.from_numpy(found.scalings_).to(raw)[:, : self.samples.n_classes - 1]

        def encode(raw):
            return raw @ axes

        return Learned(MemoryFeatures(torch.cat([encode(block) for _, block in features.blocks()])), encode)
'''
BAYES = '''"""Gaussian naive Bayes."""

from sklearn.naive_bayes import GaussianNB

CONTENT = "numbers"


def rows_of(width, classes):
    return 10_000


def represent(contents):
    return contents, ()


def make(seed, rows):
    return GaussianNB()
'''
FILES = {
    "attribute/scores/margin.py": SCORE,
    "heads/solvers/lu.py": SOLVER,
    "ingest/formats/orc.py": FORMAT,
    "models/lda.py": LDA,
    "opinions/gaussian.py": BAYES,
    "models/trees.py": TREES,
    "report/sections/mine.py": SECTION,
}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the code, all new files in it, and data with ten wrong labels."""
    folder = tmp_path_factory.mktemp("newcomer")
    for package in ("flows", "tasks"):
        there = Path(__file__).parents[2] / package
        shutil.copytree(there, folder / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        (folder / "code" / "tasks" / name).write_text(text, encoding="utf-8")
    labels = np.arange(200) % 2
    points = np.random.default_rng(0).normal(size=(200, 2)) + 4 * labels[:, None]
    given = np.where(np.arange(200) < 10, 1 - labels, labels)
    columns = {"number": range(200), "x": points[:, 0], "y": points[:, 1], "label": given}
    orc.write_table(pa.table(columns), folder / "points.orc")
    return folder


def sweep(folder: Path, *options: str) -> Path:
    """Sweep the data with the new code by the command; return the folder of the run, whose queue has all wrong labels."""
    home = environment(folder)
    site = home["PYTHONPATH"].split(os.pathsep)[0]
    ran = subprocess.run(
        [sys.executable, "-m", "flows.cli", "clean", "points.orc", "--id", "number", *options],
        cwd=folder,
        env=home | {"PYTHONPATH": os.pathsep.join([site, str(folder / "code")])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    run = (folder / options[-1] / "runs" / "latest").resolve()
    queued = pq.read_table(run / "queue.parquet", columns=["sample_id"])["sample_id"].to_pylist()
    assert {str(row) for row in range(10)} <= set(queued)
    return run


def test_a_newcomer_adds_a_score_a_solver_an_opinion_a_format_and_a_section_by_one_file_each(newcomer):
    chosen = ("--models", "heads,gaussian")
    folder = sweep(
        newcomer,
        *chosen,
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
    )
    solves = read_json(folder / "model" / "convergence.json")["solve"]
    assert all(solve["residual"] < 1e-9 for solve in solves)  # an exact solver did it
    assert [one["name"] for one in read_json(folder / "summary.json")["audit"]["opinions"]] == ["gaussian"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "from one file" in page
    assert page.index('id="queue"') < page.index('id="mine"') < page.index('id="timing"')


def test_a_newcomer_adds_a_model_that_learns_features_by_one_file(newcomer):
    folder = sweep(newcomer, "--model", "lda", "--out", "learned")
    members = read_json(folder / "summary.json")["audit"]["members"]
    assert [(member["name"], member["width"]) for member in members] == [("lda", 1)]
    assert read_json(folder / "summary.json")["queue"]["controls"]["found"] > 0
    table = pq.read_table(folder / "saliency.parquet")["saliency"].to_pylist()
    assert all(len(row) == 2 and any(row) for row in table)


def test_a_newcomer_adds_a_model_whose_opinion_enters_the_score_by_one_file(newcomer):
    once = ("--models", "heads", "--rounds", "1", "--controls", "0", "--out")
    folder, plain = (sweep(newcomer, "--model", model, *once, model) for model in ("trees", "linear"))
    opinions = load_file(folder / "model" / "round-1" / "opinions-0.safetensors")["opinions"].exp().numpy()
    both, heads = (pq.read_table(run / "scores.parquet").to_pandas() for run in (folder, plain))
    of_trees = opinions[0, np.arange(200), heads["given_label"].astype(int)]
    expected = (heads["given_probability"] + of_trees) / 2
    assert both["given_probability"].to_numpy() == pytest.approx(expected.to_numpy())
    assert both["influence"].to_numpy() == pytest.approx(heads["influence"].to_numpy())
    assert (both["score"] - heads["score"]).abs().max() > 0.1
