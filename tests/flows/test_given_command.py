"""Probabilities and rows as people bring them, by the command: one bad row stops nothing, an unused class is suggested."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run
from tasks.runs.finished import read_dataset

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
    labels[0] = "antaeter"  # a typo stays, and is asked about
    lists = pd.DataFrame(probabilities(true), columns=[f"p_{name}" for name in names])
    lists.loc[1, "p_bee"] = np.nan
    lists.loc[2, "p_cat"] = 7.0
    verified = np.arange(ROWS) == 7  # whatever the probabilities say
    lists.assign(label=labels, row=range(ROWS), ok=verified).to_csv(tmp_path / "p.csv", index=False)
    options = [
        "--pred-probs",
        "p_dog,p_cat,p_bee,p_anteater",
        "--id",
        "row",
        "--trusted",
        "ok",
        "--controls",
        "0",
    ]
    assert run(["clean", str(tmp_path / "p.csv"), *options, "--out", str(tmp_path / "out")]) == 0
    assert "no row is labeled 'dog'" in capsys.readouterr().err
    folder = tmp_path / "out" / "runs" / "latest"
    queue = pq.read_table(folder / "queue.parquet").to_pandas()
    dogs = queue[queue.suggested_label == "dog"].sample_id.astype(int)
    assert (dogs % 4 == 3).mean() > 0.9
    assert len(dogs) > 0.8 * ROWS / 4
    assert 7 not in dogs.values
    assert read_dataset(folder).offered == ("anteater", "bee", "cat", "dog")
    aside = pq.read_table(folder / "quarantine.parquet").to_pandas().set_index("sample_id")["reason"]
    assert aside.to_dict() == {
        "1": "column 'p_bee' has no number",
        "2": "--pred-probs 'p_dog', 'p_cat', 'p_bee', … holds 7, which is no probability",
    }


def test_nobody_is_asked_about_a_label_that_was_verified(prefect_server, tmp_path):
    labels = np.arange(80) % 2
    x = 3.0 * labels[:, None] + np.random.default_rng(0).normal(size=(80, 2))
    labels[[0, 1]] ^= 1  # one that the models doubt is verified, the other is not
    x[2], labels[2] = x[3], 1 - labels[3]  # the same content under two labels: the second one is verified
    x[[10, 12]], labels[[10, 12, 14]] = x[14], [0, 0, 1]  # two copies against one that is verified
    names = np.array(["kitten", "puppies"], object)[labels]
    names[20] = "kittenn"  # a typo, they say
    frame = pd.DataFrame(x, columns=["a", "b"])
    verified = [0, 3, 14, 20]
    frame.assign(label=names, ok=np.isin(np.arange(80), verified), row=range(80)).to_csv(tmp_path / "t.csv")
    options = ["--features", "a,b", "--id", "row", "--trusted", "ok", "--min-queue", "80", "--controls", "0"]
    assert run(["clean", str(tmp_path / "t.csv"), *options, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    queue = pq.read_table(tmp_path / "out" / "runs" / "latest" / "queue.parquet").to_pandas()
    assert set(queue.sample_id.astype(int)) == set(range(80)) - {*verified}
    assert {1, 2, 10, 12} <= set(queue[queue.flagged].sample_id.astype(int))


def give_models(folder) -> tuple[np.ndarray, np.ndarray]:
    """Write what three models say of three classes in three ways; return which labels are wrong, and the truth's number."""
    generator = np.random.default_rng(1)
    names = np.array(["ant", "bee", "cat"])
    true = np.arange(ROWS) % 3
    wrong = generator.random(ROWS) < 0.1
    given = np.where(wrong, (true + 1) % 3, true)
    said = []
    for loud in (2.0, 2.0, 0.5):
        logits = generator.normal(size=(ROWS, 3))
        logits[np.arange(ROWS), true] += loud
        said.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    frame = pd.DataFrame({"label": names[given], "row": range(ROWS), "p_a": said[0].tolist()})
    frame[["b_cat", "b_bee", "b_ant"]] = said[1][:, ::-1]
    frame["p_c"] = said[2].tolist()
    frame["p_short"] = said[2][:, :2].tolist()
    frame["p_off"] = (said[2] * [0.3, 0.5, 0.9]).tolist()
    frame.to_parquet(folder / "models.parquet")
    return wrong, np.stack(said)


def test_several_models_speak_as_their_weighted_mean(tmp_path, capsys):
    wrong, said = give_models(tmp_path)
    source, fixed = str(tmp_path / "models.parquet"), ["--id", "row", "--controls", "0"]
    repeated = ["--pred-probs", "p_a", "--pred-probs", "b_cat,b_bee,b_ant", "--pred-probs", "p_c"]
    assert run(["clean", source, *repeated, *fixed, "--out", str(tmp_path / "out")]) == 0
    assert "the mean of 3 models, weighted by log-loss: p_a 4" in capsys.readouterr().err
    first = tmp_path / "out" / "runs" / "latest"
    logs = np.array(pq.read_table(first / "dataset.parquet")["features"].to_pylist())
    between = np.exp(logs)
    assert (between >= said.min(axis=0) - 1e-6).all()
    assert (between <= said.max(axis=0) + 1e-6).all()
    scores = pq.read_table(first / "scores.parquet").to_pandas()
    of_wrong = wrong[scores.sample_id.astype(int)]
    assert scores.score[of_wrong].median() < scores.score[~of_wrong].quantile(0.1)
    file = tmp_path / "c.yaml"
    file.write_text("pred_probs: [[p_a], [b_cat, b_bee, b_ant], p_c]\n")
    again = ["--config", str(file), *fixed, "--out", str(tmp_path / "again")]
    assert run(["clean", source, *again]) == 0
    second = pq.read_table(tmp_path / "again" / "runs" / "latest" / "scores.parquet").to_pandas()
    pd.testing.assert_series_equal(second.score, scores.score)


def test_models_that_do_not_fit_each_other_are_refused_in_one_line(tmp_path, capsys):
    give_models(tmp_path)
    source, out = str(tmp_path / "models.parquet"), ["--out", str(tmp_path / "out"), "--quiet"]
    for column, reason in (
        ("p_d", "no column 'p_d'"),
        ("p_short", "the lists in column 'p_short' have 2 numbers, and there are 3 classes"),
        ("p_off", "--pred-probs p_off holds no probabilities: its rows sum to"),
        ("label", "is the label"),
    ):
        assert run(["clean", source, "--pred-probs", "p_a", "--pred-probs", column, *out]) == 2
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1
