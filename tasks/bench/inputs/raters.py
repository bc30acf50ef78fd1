"""Several raters: the command's queue beside cleanlab's scores for several annotators, on the votes of real people.

Of some twenty people who marked each text of vaderSentiment's sets three are drawn. Two truths judge: the majority of all, which
holds the drawn three and so favours methods that count votes, and the majority of the raters who were not drawn.
Average precision of finding the labels, majorities of the drawn three, that are wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.bench.datasets import Floats, Ints
from tasks.bench.fetched import CLASSES, fetch_votes
from tasks.bench.helpers import sweep_frame
from tasks.bench.inputs.peers import make_text_model
from tasks.bench.inputs.through_command import COMMON
from tasks.bench.quality.case import predict_out_of_fold
from tasks.bench.quality.metrics import average_precision
from tasks.bench.tally import Row

RATERS = 3


def judge_raters(name: str, seed: int, cache: Path) -> Iterator[Row]:
    """Yield for each truth of a set its name, the share of wrong labels and the average precision of each method."""
    found = fetch_votes(cache, name)
    texts = [text for text, _ in found]
    counts = np.array([np.bincount(votes, minlength=len(CLASSES)) for _, votes in found])
    generator = np.random.default_rng(seed)
    drawn = np.array([generator.choice(votes, RATERS, replace=False) for _, votes in found])
    others = counts - np.array([np.bincount(row, minlength=len(CLASSES)) for row in drawn])
    ours, given = _sweep(texts, drawn, counts.argmax(1), seed)
    theirs, consensus = _ask_peer(drawn, predict_out_of_fold(make_text_model(), texts, given, seed))
    for truth, votes in {"all raters": counts, "raters not drawn": others}.items():
        true = votes.argmax(1)
        wrong = given != true
        yield {
            "": f"{name} ({len(texts):,}), truth: {truth}",
            "wrong": float(wrong.mean()),
            "labelsweep": average_precision(wrong, ours),
            "agreement alone": average_precision(wrong, (drawn == given[:, None]).mean(1)),
            "cleanlab, the same labels": average_precision(wrong, theirs),
            "cleanlab, labels of its own": average_precision(consensus != true, theirs),
        }


def _sweep(texts: list[str], drawn: Ints, true: Ints, seed: int) -> tuple[Floats, Ints]:
    """Return score and given label of each text, in the order of the texts, as the command writes them."""
    raters = {f"rater_{place}": drawn[:, place] for place in range(RATERS)}
    frame = pd.DataFrame({**raters, "text": texts, "true": true})
    options = ["--raters", ",".join(raters), "--text", "text", "--seed", str(seed), *COMMON]
    _, scores = sweep_frame(frame, *options)
    return scores["score"].to_numpy(), scores["given_label"].to_numpy().astype(np.int64)


def _ask_peer(drawn: Ints, probabilities: Floats) -> tuple[Floats, Ints]:
    """Return cleanlab's quality of each consensus of the raters, and the consensus, a majority whose ties it breaks itself."""
    from cleanlab.multiannotator import get_label_quality_multiannotator  # noqa: PLC0415 (belongs to the bench extra)

    quality = get_label_quality_multiannotator(
        drawn, probabilities, consensus_method="majority_vote", verbose=False
    )["label_quality"]
    return quality["consensus_quality_score"].to_numpy(), quality["consensus_label"].to_numpy()
