"""Probabilities and rows as people bring them, by the command: one bad row stops nothing, an unused class is suggested."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run
from tasks.review.queue import read_dataset

ROWS = 200


def probabilities(true: np.ndarray) -> np.ndarray:
    """Return probabilities (rows, 4) of a model that knows the true classes fairly well."""
    logits = np.random.default_rng(0).normal(size=(len(true), 4))
    logits[np.arange(len(true)), true] += 4
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_a_class_that_no_row_has_is_suggested_and_bad_rows_are_set_aside(prefect_server, tmp_path, capsys):
    names = np.array(["anteater", "bee", "cat", "dog"])
    true = np.arange(ROWS) % 4
    given = np.where(true == 3, 2, true)  # nobody wrote down a dog
    labels = names[given].tolist()
    labels[0] = "antaeter"
    lists = pd.DataFrame(probabilities(true), columns=[f"p_{name}" for name in names])
    lists.loc[1, "p_bee"] = np.nan
    lists.loc[2, "p_cat"] = 7.0
    lists.assign(label=labels, row=range(ROWS)).to_csv(tmp_path / "p.csv", index=False)
    options = ["--pred-probs", "p_dog,p_cat,p_bee,p_anteater", "--id", "row", "--controls", "0"]
    assert run(["clean", str(tmp_path / "p.csv"), *options, "--out", str(tmp_path / "out")]) == 0
    assert "no row is labeled 'dog'" in capsys.readouterr().err
    folder = tmp_path / "out" / "runs" / "latest"
    queue = pq.read_table(folder / "queue.parquet").to_pandas()
    dogs = queue[queue.suggested_label == "dog"].sample_id.astype(int)
    assert (dogs % 4 == 3).mean() > 0.9
    assert len(dogs) > 0.8 * ROWS / 4
    assert read_dataset(folder).offered == ("anteater", "bee", "cat", "dog")
    aside = pq.read_table(folder / "quarantine.parquet").to_pandas().set_index("sample_id")["reason"]
    assert aside.to_dict() == {
        "0": "class 'antaeter' has 1 sample, fewer than the 5 folds; did you mean 'anteater'?",
        "1": "column 'p_bee' has no number",
        "2": "--pred-probs 'p_dog', 'p_cat', 'p_bee', … holds 7, which is no probability",
    }
