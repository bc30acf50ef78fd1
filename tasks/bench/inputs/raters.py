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

from tasks.bench.datasets import Floats, Ints
from tasks.bench.inputs.raw_sets import CLASSES, TEXTS, votes_of
from tasks.bench.inputs.through_command import out_of_fold, swept, table, words

RATERS = 3
METHODS = ("labelsweep", "agreement alone", "cleanlab, the same labels", "cleanlab, labels of its own")


def rows(seeds: Sequence[int], cache: Path) -> Iterator[tuple[str, Floats]]:
    """Yield for each set and truth its name and the average precision of each of `METHODS`, means over the seeds.

    Args:
        seeds: Of raters and folds.
        cache: Where fetched texts are kept.
    """
    for name in TEXTS:
        measured = np.array([_measured(name, seed, cache) for seed in seeds]).mean(0)
        size = f"{name} ({len(votes_of(cache, name)):,})"
        for truth, (wrong, *scores) in zip(("all raters", "raters not drawn"), measured, strict=True):
            yield f"{size}, truth: {truth}, {wrong:.0%} wrong", np.array(scores)


def _measured(name: str, seed: int, cache: Path) -> list[list[float]]:
    """Return for each truth the share of wrong labels and what each of `METHODS` reaches."""
    found = votes_of(cache, name)
    texts = [text for text, _ in found]
    generator = np.random.default_rng(seed)
    drawn = np.array([generator.choice(votes, RATERS, replace=False) for _, votes in found])
    counts = np.array([np.bincount(votes, minlength=len(CLASSES)) for _, votes in found])
    others = counts - np.array([np.bincount(row, minlength=len(CLASSES)) for row in drawn])
    truths = [counts.argmax(1), others.argmax(1)]
    ours, given = _ours(texts, drawn, truths[0], seed)
    agreement = (drawn == given[:, None]).mean(1)
    theirs, consensus = _peer(drawn, out_of_fold(words(), texts, given, seed))
    result = [
        [
            float(np.mean(given != true)),
            _precision(given != true, ours),
            _precision(given != true, agreement),
            _precision(given != true, theirs),
            _precision(consensus != true, theirs),
        ]
        for true in truths
    ]
    for row in result:
        said = ", ".join(f"{method} {value:.3f}" for method, value in zip(METHODS, row[1:], strict=True))
        sys.stderr.write(f"{name}, seed {seed}, {row[0]:.1%} wrong: {said}\n")
    sys.stderr.flush()
    return result


def _ours(texts: list[str], drawn: Ints, true: Ints, seed: int) -> tuple[Floats, Ints]:
    """Return score and given label of each text, in the order of the texts, as the command writes them."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    raters = {f"rater_{place}": drawn[:, place] for place in range(RATERS)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = [f"{place:06}" for place in range(len(texts))]
        table(folder, {"id": ids, **raters, "text": texts, "true": true}, "votes.parquet")
        swept(folder, ["votes.parquet", "--raters", ",".join(raters), "--text", "text", "--id", "id"], seed)
        scores = pq.read_table(folder / "out" / "runs" / "latest" / "scores.parquet").sort_by("sample_id")
    given = np.array(scores["given_label"].to_pylist()).astype(np.int64)
    return scores["score"].to_numpy(), given


def _peer(drawn: Ints, probabilities: Floats) -> tuple[Floats, Ints]:
    """Return cleanlab's quality of each consensus of the raters, and the consensus, a majority whose ties it breaks itself."""
    from cleanlab.multiannotator import get_label_quality_multiannotator  # noqa: PLC0415 (belongs to the bench extra)

    judged = get_label_quality_multiannotator(
        drawn, probabilities, consensus_method="majority_vote", verbose=False
    )
    quality = judged["label_quality"]
    return quality["consensus_quality_score"].to_numpy(), quality["consensus_label"].to_numpy()


def _precision(wrong: Ints, score: Floats) -> float:
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 (seconds to import)

    return float(average_precision_score(wrong, -score))
