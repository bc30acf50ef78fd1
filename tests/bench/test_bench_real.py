"""The benchmark of real errors reads every kind of set, shows no method the truth, and says what held."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from tasks.bench.command import main
from tasks.bench.quality.real import judge_peers, list_real_sets, read_real
from tasks.errors import InputError

pytest.importorskip("cleanlab")


@pytest.fixture
def folder(tmp_path):
    features, labels = load_wine(return_X_y=True)
    truth = np.array(["red", "rose", "white"])[labels]
    given = truth.copy()
    given[::9] = "red"
    about = {"label": given, "true_label": truth}
    sure = np.eye(3)[labels] * 0.9 + 0.05
    numbers = {f"c{i}": column for i, column in enumerate(features.T)}
    words = [" ".join(f"w{i}{value:.0f}" for i, value in enumerate(row)) for row in features]
    wrong = given != truth
    for name, columns in {
        "table-1": numbers | about,
        "text-1": {"text": words} | about,
        "vector-1": {"embedding": list(features)} | about,
        "probabilities-1": {"p_a": list(sure), "p_b": list(sure), "label": given, "is_error": wrong},
    }.items():
        pd.DataFrame(columns).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


@pytest.mark.parametrize("kind", ["table", "text", "vector", "probabilities"])
def test_every_kind_of_set_is_read_without_its_truth(folder, kind):
    data = read_real(folder / f"{kind}-1.parquet")
    assert not {"true_label", "is_error"} & set(data.frame)
    assert data.wrong.sum() > 10
    names = [name for name, *_ in judge_peers(data)]
    assert names[2:] == ["cleanlab, better of both", "better of both differs", "mean of several"]


def test_halves_are_whole_projects(folder):
    names = [[path.stem for path in list_real_sets(folder, half)] for half in ("develop", "final")]
    assert names == [["probabilities-1", "text-1"], ["table-1", "vector-1"]]


def test_the_command_prints_measures_and_whether_intervals_hold(folder, capsys):
    for path in list_real_sets(folder, "both"):
        if path.stem != "table-1":
            path.unlink()
    options = ["quality", "--real", str(folder), "--out", str(folder / "kept.jsonl")]
    main(options)
    printed = capsys.readouterr()
    assert "## Average precision" in printed.out
    assert "of 1 " in printed.out.split("**held**")[1]
    main(options)
    again = capsys.readouterr()
    assert (again.out, again.err) == (printed.out, "")


def test_a_file_without_truth_is_named(tmp_path):
    pd.DataFrame({"label": ["a", "b"]}).to_parquet(tmp_path / "x-1.parquet")
    with pytest.raises(InputError, match="no truth"):
        read_real(tmp_path / "x-1.parquet")
