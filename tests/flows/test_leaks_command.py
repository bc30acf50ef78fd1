"""A column that gives the label away, by the command: left out and said, or kept and no estimate is given."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from flows.cli import run
from tasks.storage import read_json

ROWS, WRONG = 240, 14


@pytest.fixture
def leaky(tmp_path):
    """A table whose label stands in it twice, as a name and as a number; return its path and the wrong rows."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, ROWS)
    wrong = rng.choice(ROWS, WRONG, replace=False)
    given = true.copy()
    given[wrong] = (true[wrong] + 1) % 3
    x = rng.normal(size=(ROWS, 3)) + 5 * np.eye(3)[true]
    frame = pd.DataFrame(x, columns=list("abc")).assign(
        RowNumber=np.arange(ROWS), sort=np.array(["s", "m"])[rng.integers(0, 2, ROWS)], label_id=given
    )
    path = tmp_path / "t.csv"
    frame.assign(label=np.array(["cat", "dog", "elk"])[given]).to_csv(path, index=False)
    return path, set(wrong)


def test_a_second_label_is_left_out_and_said_everywhere(leaky, prefect_server, tmp_path, capsys):
    path, wrong = leaky
    assert run(["clean", str(path), "--out", str(tmp_path / "out"), "--max-noise", "0.2"]) == 0
    line = "left out, since it gives the label away: 'label_id' (repeats the label in 100.0% of the rows)"
    assert capsys.readouterr().err.count(line) == 1
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    queue = pd.read_csv(folder / "queue.csv")
    # A row of the source that is not given an id is known by what stands beside it.
    assert len(wrong & set(queue["RowNumber"])) >= WRONG - 1
    assert len(queue) <= WRONG + 5
    summary = read_json(folder / "summary.json")
    assert list(summary["data"]["leaks"]) == ["label_id"]
    assert "untrusted" not in summary["queue"]
    page = (folder / "report.html").read_text()
    assert page.index("since it gives the label away") < page.index("<h2")
    # The report counts features as ingest does.
    assert summary["data"]["features"] == 4
    assert "3 classes, 4 features" in page


def test_with_a_leak_no_estimate_is_given_and_the_gate_is_shut(leaky, prefect_server, tmp_path, capsys):
    path, _ = leaky
    options = ["--features", "a,b,c,label_id", "--out", str(tmp_path / "out"), "--max-noise", "0.5"]
    assert run(["clean", str(path), *options]) == 4
    why = "'label_id' (repeats the label in 100.0% of the rows)"
    error = capsys.readouterr().err
    assert error.count(f"no estimate of this run can be trusted: {why}") == 1
    assert (
        f"the share of wrong labels cannot be estimated (--max-noise): {why}; leave it out"
        in error.splitlines()[-1]
    )
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    queue = read_json(folder / "summary.json")["queue"]
    assert (queue["untrusted"], queue["estimated_noise_rate"]) == (why, None)
    assert set(queue["controls"]) == {"planted", "found"}
    page = (folder / "report.html").read_text()
    assert page.count("repeats the label in 100.0% of the rows") >= 2
    assert not re.search("95.% interval", page)
    assert json.dumps(queue)


def test_a_number_of_an_embedding_that_is_the_label_shuts_the_gate(prefect_server, tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    vectors = np.column_stack([rng.normal(size=(ROWS, 5)) + label[:, None], label])
    pd.DataFrame({"v": list(vectors), "label": label}).to_parquet(tmp_path / "t.parquet")
    options = ["--embedding", "v", "--out", str(tmp_path / "out"), "--max-noise", "0.5"]
    assert run(["clean", str(tmp_path / "t.parquet"), *options]) == 4
    error = capsys.readouterr().err
    assert "a single number of each embedding tells 100.0% of what there is to tell of the label" in error
    assert "v[5]" not in error
    assert "--features" not in error
