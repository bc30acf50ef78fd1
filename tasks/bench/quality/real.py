"""`labelsweep bench quality --real DIR`: errors of people and heuristics, not planted ones.

Each Parquet file of the folder is one set, with a column `label` and the truth in `true_label` or `is_error`. To learn from
there is `text`, a column of lists such as `embedding`, several lists `p_*` of out-of-fold probabilities, or all other columns.

labelsweep is the command itself on a file without the truth, which only scores. Its peers share five folds:

- cleanlab (normalized margin, its default filter) on logistic regression, on boosting, and on whichever has the lower
  log-loss on the given labels;
- samples that this better one predicts otherwise;
- the mean of models of different kinds. Where probabilities are given, it is theirs, and the others see their logarithms.

Files are named PROJECT-RELEASE. Every second project in alphabetical order belongs to the half that is looked at last.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tasks.bench.datasets import Bools, Floats, Ints, learn_table_encoder
from tasks.bench.helpers import sweep_file
from tasks.bench.quality.case import Case, MethodVerdict
from tasks.bench.quality.metrics import average_precision, best_f1
from tasks.bench.quality.peers import argmax_differs, cleanlab_filter, cleanlab_rank, predict_out_of_fold
from tasks.bench.quality.summary import format_verdicts
from tasks.bench.stopwatch import time_call
from tasks.bench.tables import describe_setup, format_frame, format_table
from tasks.bench.tally import ResultFile, Row, run_campaign
from tasks.errors import InputError

TRUTH = ("true_label", "is_error")
OURS, DIFFERS = "labelsweep", "labelsweep, prediction differs"
ESTIMATES = ("noise_rate", "recall", "precision")


@dataclass(frozen=True)
class RealSet:
    """Samples with the labels that they came with, and which of these are wrong.

    Attributes:
        frame: What the command is given: the labels, and what to learn from.
        options: Options of the command that name its columns.
        wrong: Whether each label is wrong, (n,).
        given: Out-of-fold probabilities by column, each (n, C), if the set consists of them.
    """

    frame: Any
    options: list[str]
    wrong: Bools
    given: dict[str, Floats] = field(default_factory=dict)

    @cached_property
    def case(self) -> Case:
        """Labels, folds and what the peers' models see: numbers or texts."""
        classes, labels = np.unique(self.frame["label"].astype(str), return_inverse=True)
        rest = self.frame.drop(columns="label")
        if self.given:
            features = np.hstack([np.log(np.maximum(p, 1e-9)) for p in self.given.values()])
        elif "--text" in self.options:
            features = rest["text"].fillna("").to_numpy(dtype=object)
        elif "--embedding" in self.options:
            features = np.stack(rest[self.options[1]].to_list())
        else:
            features = learn_table_encoder(rest)(rest)
        return Case(features, labels.astype(np.int64), len(classes), seed=0)


def read_real(path: Path) -> RealSet:
    """Return the set of a file.

    Raises:
        InputError: It has no label, or no truth.
    """
    frame = pd.read_parquet(path)
    truth = next((name for name in TRUTH if name in frame), None)
    if "label" not in frame or truth is None:
        raise InputError("no column label, or no truth", where=str(path), fix="add true_label or is_error")
    wrong = frame[truth] if truth == "is_error" else frame["label"].astype(str) != frame[truth].astype(str)
    lists = [name for name in frame if isinstance(frame[name].iloc[0], list | np.ndarray)]
    given = {name: np.stack(frame[name].to_list()) for name in lists if name.startswith("p_")}
    frame = frame.drop(columns=[*TRUTH, "sample_id", *given], errors="ignore")
    options: list[str] = []
    if given:
        frame = frame[["label"]].assign(**{name: list(values) for name, values in given.items()})
        options = [word for name in given for word in ("--pred-probs", name)]
    elif "text" in frame:
        frame, options = frame[["label", "text"]], ["--text", "text"]
    elif lists:
        frame, options = frame[["label", lists[0]]], ["--embedding", lists[0]]
    return RealSet(frame, options, wrong.to_numpy(dtype=np.bool_), given)


def list_real_sets(folder: Path, half: str | None) -> list[Path]:
    """Return the files of a folder, or of one half of it, by project."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise InputError("no Parquet file", where=str(folder), fix="name a folder of sets with known errors")
    projects = sorted({_project(path) for path in paths})
    chosen = {"develop": projects[::2], "final": projects[1::2]}.get(half or "develop", projects)
    return [path for path in paths if _project(path) in chosen]


def _project(path: Path) -> str:
    return path.stem.rpartition("-")[0] or path.stem


def judge_set(data: RealSet) -> Iterator[Row]:
    """Yield one row for each method: its measures and its processor seconds; ours with estimates beside the truth."""
    (said, scores), spent = time_call(lambda: sweep_real_set(data))
    known = scores["score"].notna()
    flagged = (known & (scores["flagged"] == 1)).to_numpy()
    differs = (known & (scores["predicted_label"] != scores["given_label"])).to_numpy()
    # What was set aside is not in the queue: last of all, and not flagged.
    score = scores["score"].fillna(scores["score"].max()).to_numpy()
    truth = {
        "noise_rate": float(data.wrong.mean()),
        "recall": float(flagged[data.wrong].mean()),
        "precision": float(data.wrong[flagged].mean()) if flagged.any() else None,
    }
    stated = said["queue"]["controls"] or {}
    estimates = {n: [stated[n]["low"], stated[n]["high"], truth[n]] for n in ESTIMATES if stated.get(n)}
    verdict = {"verdict": said["queue"]["trust"]["verdict"], "purity": truth["precision"]}
    yield measure_order(data, OURS, score, flagged, spent.cpu) | {"estimates": estimates, **verdict}
    yield measure_order(data, DIFFERS, score, differs, 0.0)
    labels = data.case.labels
    for name, probabilities, seconds, flag in judge_peers(data):
        order = cleanlab_rank(labels, probabilities).score
        yield measure_order(data, name, order, np.asarray(flag(labels, probabilities).flagged), seconds)


def measure_order(data: RealSet, method: str, score: Floats, flagged: Bools, seconds: float) -> Row:
    """Return the measures of an order and its flags."""
    return {
        "method": method,
        "samples": len(data.wrong),
        "ap": average_precision(data.wrong, score),
        "f1": float(f1_score(data.wrong, flagged)),
        "best": best_f1(data.wrong, score),
        "flagged": float(flagged.mean()),
        "wrong": float(data.wrong.mean()),
        "seconds": round(seconds, 1),
    }


def sweep_real_set(data: RealSet) -> tuple[Any, pd.DataFrame]:
    """Run the command on a file of the set; return what it printed, and the scores by row, empty where one was set aside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data.frame.assign(row=range(len(data.frame))).to_parquet(folder / "real.parquet", index=False)
        said, scores = sweep_file(folder, "real.parquet", "--id", "row", *data.options)
    return said, scores.set_index(scores["sample_id"].astype(int)).reindex(range(len(data.frame)))


def judge_peers(
    data: RealSet,
) -> Iterator[tuple[str, Floats, float, Callable[[Ints, Floats], MethodVerdict]]]:
    """Yield of each peer its name, probabilities and seconds, and how it flags."""
    case, found, spent = data.case, dict[str, Floats](), dict[str, float]()
    models = list_models_of_texts() if "--text" in data.options else list_models_of_numbers()
    for name in list(models)[: 2 if data.given else None]:
        fit = partial(predict_out_of_fold, models[name], case.features, case.labels, case.seed)
        found[name], took = time_call(fit)
        spent[name] = took.cpu
    pair = list(found)[:2]
    better, both = min(pair, key=lambda name: log_loss(case.labels, found[name])), sum(spent[n] for n in pair)
    for name in pair:
        yield f"cleanlab, {name}", found[name], spent[name], cleanlab_filter
    yield "cleanlab, better of both", found[better], both, cleanlab_filter
    yield "better of both differs", found[better], both, argmax_differs
    mean = np.mean(list((data.given or found).values()), axis=0)
    yield "mean of several", mean, sum(spent.values()), argmax_differs


def list_models_of_numbers() -> dict[str, Any]:
    """Return the peers' models of tables and vectors, those of cleanlab first."""
    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "extra trees": ExtraTreesClassifier(300, random_state=0),
        "discriminant analysis": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
    }


def list_models_of_texts() -> dict[str, Any]:
    """Return the peers' models of texts, those of cleanlab first."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    linear, dense = LogisticRegression(C=10, max_iter=2_000), TruncatedSVD(100, random_state=0)
    return {
        "logistic regression": make_pipeline(words, linear),
        "boosting": make_pipeline(words, dense, HistGradientBoostingClassifier(random_state=0)),
        "letters": make_pipeline(letters, linear),
        "naive Bayes": make_pipeline(words, ComplementNB()),
        "extra trees": make_pipeline(words, dense, ExtraTreesClassifier(300, random_state=0)),
    }


def run_real(folder: Path, half: str | None, results: ResultFile) -> str:
    """Judge the sets of a folder that `results` lacks; return the tables of all of them."""
    files = {path.stem: path for path in list_real_sets(folder, half)}
    rows = run_campaign(files, lambda path, _: judge_set(read_real(path)), results)
    frame = pd.DataFrame(rows)
    tables = (
        _compare("Average precision", "ap", frame),
        _compare("F1 of what is flagged", "f1", frame),
        _compare("F1 of the best cut of the same order", "best", frame),
        _compare("Processor seconds", "seconds", frame, show=".1f"),
        _hold_estimates([row for row in rows if row["method"] == OURS]),
        format_verdicts([row for row in rows if row["method"] == OURS]),
        describe_setup("labelsweep", "cleanlab", "scikit-learn") + "\n",
    )
    return "\n".join(tables)


def _compare(title: str, measure: str, frame: pd.DataFrame, show: str = ".3f") -> str:
    table = frame.pivot(index="case", columns="method", values=measure).rename_axis("")
    table = table.loc[frame["case"].unique(), frame["method"].unique()]
    table.loc["**mean**"] = table.mean()
    return format_frame(table, title=title, show=show)


def _hold_estimates(rows: Iterable[Row]) -> str:
    """Return what labelsweep says of itself beside the truth, and in how many sets its intervals hold."""
    lines, held = [], {name: list[bool]() for name in ESTIMATES}
    for row in rows:
        cells = [row["case"], row["samples"], f"{row['wrong']:.1%}", f"{row['flagged']:.1%}"]
        for name in ESTIMATES:
            low, high, truth = row["estimates"].get(name, (0.0, 0.0, None))
            if truth is None:
                cells.append("–")
                continue
            held[name].append(low <= truth <= high)
            cells.append(f"{low:.3f} to {high:.3f}, {'' if held[name][-1] else 'not '}{truth:.3f}")
        lines.append(cells)
    lines.append(["**held**", "", "", "", *(f"{sum(h)} of {len(h)}" for h in held.values())])
    heads = ["", "samples", "wrong", "flagged", "share of wrong labels", "recall", "precision"]
    return format_table(heads, lines, title="The intervals that labelsweep states, and the truth")
