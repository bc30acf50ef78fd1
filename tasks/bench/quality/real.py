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

from collections.abc import Iterator, Sequence
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
from tasks.bench.helpers import sweep_frame
from tasks.bench.quality.case import predict_out_of_fold
from tasks.bench.quality.metrics import average_precision, best_f1
from tasks.bench.quality.peers import argmax_differs, cleanlab_filter, cleanlab_rank
from tasks.bench.quality.summary import format_verdicts
from tasks.bench.stopwatch import time_call
from tasks.bench.tables import describe_setup, format_frame, format_table
from tasks.bench.tally import Row, run_campaign
from tasks.errors import InputError

TRUTH = ("true_label", "is_error")
OURS = "labelsweep"
ESTIMATES = ("noise_rate", "recall", "precision")
MEASURES = {
    "ap": "Average precision",
    "f1": "F1 of what is flagged",
    "best": "F1 of the best cut of the same order",
    "seconds": "Processor seconds",
}


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
    def labels(self) -> Ints:
        """The labels as classes, (n,)."""
        labels, _ = pd.factorize(self.frame["label"].astype(str), sort=True)
        return np.asarray(labels, np.int64)

    @property
    def features(self) -> Any:  # noqa: ANN401 (a matrix or texts)
        """What the peers' models see: numbers or texts."""
        rest = self.frame.drop(columns="label")
        if self.given:
            return np.hstack([np.log(np.maximum(p, 1e-9)) for p in self.given.values()])
        if "--text" in self.options:
            return rest["text"].fillna("").to_numpy(dtype=object)
        if "--embedding" in self.options:
            return np.stack(rest[self.options[1]].to_list())
        return learn_table_encoder(rest)(rest)


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
    options: list[str] = []
    if given:
        frame = frame[["label", *given]]
        options = [word for name in given for word in ("--pred-probs", name)]
    elif "text" in frame:
        frame, options = frame[["label", "text"]], ["--text", "text"]
    elif lists:
        frame, options = frame[["label", lists[0]]], ["--embedding", lists[0]]
    frame = frame.drop(columns=[*TRUTH, "sample_id"], errors="ignore")
    return RealSet(frame, options, wrong.to_numpy(dtype=np.bool_), given)


def list_real_sets(folder: Path, half: str) -> list[Path]:
    """Return the files of a folder, or of one half of it, by project."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise InputError("no Parquet file", where=str(folder), fix="name a folder of sets with known errors")
    names = {path: path.stem.rpartition("-")[0] or path.stem for path in paths}
    projects = sorted(set(names.values()))
    chosen = {"develop": projects[::2], "final": projects[1::2]}.get(half, projects)
    return [path for path in paths if names[path] in chosen]


def judge_set(data: RealSet) -> Iterator[Row]:
    """Yield one row for each method: its measures and its processor seconds; ours with estimates beside the truth."""
    (said, scores), spent = time_call(lambda: sweep_frame(data.frame, *data.options))
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
    more = {
        "verdict": said["queue"]["trust"]["verdict"],
        "purity": truth["precision"],
        "estimates": estimates,
    }
    yield measure_order(data, OURS, score, flagged, spent.cpu) | more
    yield measure_order(data, f"{OURS}, prediction differs", score, differs, 0.0)
    for name, probabilities, seconds in judge_peers(data):
        flag = cleanlab_filter if name.startswith("cleanlab") else argmax_differs
        order, flags = (
            cleanlab_rank(data.labels, probabilities).score,
            flag(data.labels, probabilities).flagged,
        )
        yield measure_order(data, name, order, np.asarray(flags), seconds)


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


def judge_peers(data: RealSet) -> Iterator[tuple[str, Floats, float]]:
    """Yield of each peer its name, probabilities and seconds; cleanlab flags by its own rule, the others where they differ."""
    features, found, spent = data.features, dict[str, Floats](), dict[str, float]()
    models = list_models_of_texts() if "--text" in data.options else list_models_of_numbers()
    for name in list(models)[: 2 if data.given else None]:
        fit = partial(predict_out_of_fold, models[name], features, data.labels, seed=0)
        found[name], took = time_call(fit)
        spent[name] = took.cpu
    pair = list(found)[:2]
    better = min(pair, key=lambda name: log_loss(data.labels, found[name]))
    for name in pair:
        yield f"cleanlab, {name}", found[name], spent[name]
    both = sum(spent[name] for name in pair)
    yield "cleanlab, better of both", found[better], both
    yield "better of both differs", found[better], both
    mean = np.mean(list((data.given or found).values()), axis=0)
    yield "mean of several", mean, sum(spent.values())


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


def run_real(folder: Path, half: str, kept: Path | None) -> str:
    """Judge the sets of a folder that the file lacks; return the tables of all of them."""
    files = {path.stem: path for path in list_real_sets(folder, half)}
    rows = run_campaign(files, lambda path, _: judge_set(read_real(path)), kept)
    frame, ours = pd.DataFrame(rows), [row for row in rows if row["method"] == OURS]
    parts = []
    for measure, title in MEASURES.items():
        table = frame.pivot(index="case", columns="method", values=measure).rename_axis("")
        table = table.loc[frame["case"].unique(), frame["method"].unique()]
        table.loc["**mean**"] = table.mean()
        parts.append(format_frame(table, title=title, show=".1f" if measure == "seconds" else ".3f"))
    parts += [_format_estimates(ours), format_verdicts(ours)]
    return "\n".join([*parts, describe_setup("labelsweep", "cleanlab", "scikit-learn") + "\n"])


def _format_estimates(rows: Sequence[Row]) -> str:
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
