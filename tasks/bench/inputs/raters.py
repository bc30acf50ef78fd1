"""Several raters: the command's queue beside cleanlab's scores for several annotators, on the votes of real people.

Of some twenty people who marked each text of vaderSentiment's sets three are drawn. Two truths judge: the majority of all, which
holds the drawn three and so favours whoever counts votes, and the majority of those who were not drawn, which owes them nothing.
Average precision of finding the labels, majorities of the drawn three, that are wrong.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.bench.datasets import Floats, Ints
from tasks.bench.inputs.peers import make_text_model, predict_out_of_fold
from tasks.bench.inputs.raw_sets import CLASSES, TEXTS, votes_of
from tasks.bench.inputs.through_command import sweep_folder, write_columns
from tasks.bench.quality.metrics import average_precision

RATERS = 3


def rows(seeds: Sequence[int], cache: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield for each set and truth its name and the average precision of each method, means over the seeds."""
    for name in TEXTS:
        frames = [_measure(name, seed, cache) for seed in seeds]
        means = sum(frames[1:], frames[0]) / len(frames)
        for truth, found in means.to_dict("index").items():
            wrong = found.pop("wrong")
            yield f"{name} ({len(votes_of(cache, name)):,}), truth: {truth}, {wrong:.0%} wrong", found


def _measure(name: str, seed: int, cache: Path) -> pd.DataFrame:
    """Return for each truth the share of wrong labels and what each method reaches."""
    found = votes_of(cache, name)
    texts = [text for text, _ in found]
    generator = np.random.default_rng(seed)
    drawn = np.array([generator.choice(votes, RATERS, replace=False) for _, votes in found])
    counts = np.array([np.bincount(votes, minlength=len(CLASSES)) for _, votes in found])
    others = counts - np.array([np.bincount(row, minlength=len(CLASSES)) for row in drawn])
    truths = {"all raters": counts.argmax(1), "raters not drawn": others.argmax(1)}
    ours, given = _ours(texts, drawn, truths["all raters"], seed)
    theirs, consensus = _peer(drawn, predict_out_of_fold(make_text_model(), texts, given, seed))
    result = {
        truth: {
            "wrong": float(np.mean(given != true)),
            "labelsweep": average_precision(given != true, ours),
            "agreement alone": average_precision(given != true, (drawn == given[:, None]).mean(1)),
            "cleanlab, the same labels": average_precision(given != true, theirs),
            "cleanlab, labels of its own": average_precision(consensus != true, theirs),
        }
        for truth, true in truths.items()
    }
    for row in result.values():
        said = ", ".join(f"{method} {value:.3f}" for method, value in row.items())
        sys.stderr.write(f"{name}, seed {seed}: {said}\n")
    return pd.DataFrame.from_dict(result, orient="index")


def _ours(texts: list[str], drawn: Ints, true: Ints, seed: int) -> tuple[Floats, Ints]:
    """Return score and given label of each text, in the order of the texts, as the command writes them."""
    raters = {f"rater_{place}": drawn[:, place] for place in range(RATERS)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = [f"{place:06}" for place in range(len(texts))]
        write_columns(folder / "votes.parquet", {"id": ids, **raters, "text": texts, "true": true})
        sweep_folder(
            folder, ["votes.parquet", "--raters", ",".join(raters), "--text", "text", "--id", "id"], seed
        )
        scores = pd.read_parquet(folder / "out" / "runs" / "latest" / "scores.parquet")
    scores = scores.sort_values("sample_id")
    return scores["score"].to_numpy(), scores["given_label"].to_numpy().astype(np.int64)


def _peer(drawn: Ints, probabilities: Floats) -> tuple[Floats, Ints]:
    """Return cleanlab's quality of each consensus of the raters, and the consensus, a majority whose ties it breaks itself."""
    from cleanlab.multiannotator import get_label_quality_multiannotator  # noqa: PLC0415 (belongs to the bench extra)

    quality = get_label_quality_multiannotator(
        drawn, probabilities, consensus_method="majority_vote", verbose=False
    )["label_quality"]
    return quality["consensus_quality_score"].to_numpy(), quality["consensus_label"].to_numpy()
