"""`--group`, by the command: an error in all copies of a sample is found, and everything that counts says so."""

import numpy as np
import pandas as pd
import pytest

from flows.cli import run
from tasks.apply.refit import judge_of
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.options import AuditOptions
from tasks.records import Source, Validation
from tasks.storage import read_json, read_parquet


def patients(copies: int = 4, people: int = 60, noise: float = 0.3) -> tuple[pd.DataFrame, np.ndarray]:
    """Return noisy copies of each person's sample, and which rows have the wrong label: all copies of four persons."""
    random = np.random.default_rng(0)
    truth, wrong = np.arange(people) % 2, np.arange(people) % 15 == 0
    x = 4 * truth[:, None] + random.normal(size=(people, 3))
    person = np.repeat(np.arange(people), copies)
    frame = pd.DataFrame(x[person] + noise * random.normal(size=(len(person), 3)), columns=["a", "b", "c"])
    frame = frame.assign(patient=[f"p{number}" for number in person], label=(truth ^ wrong)[person])
    return frame, wrong[person]


def swept(folder, *options: str) -> dict:
    """Sweep `folder/x.csv` and return the summary of the newest run."""
    arguments = ["clean", str(folder / "x.csv"), "--out", str(folder / "out"), "--quiet"]
    assert run([*arguments, *options]) == 0
    return read_json(folder / "out" / "runs" / "latest" / "summary.json")


def test_an_error_in_all_rows_of_a_group_is_found_and_groups_are_counted(prefect_server, tmp_path):
    frame, wrong = patients()
    frame.to_csv(tmp_path / "x.csv", index=False)
    summary = swept(tmp_path, "--group", "patient", "--controls", "0.1")
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    rows = read_parquet(folder / "dataset.parquet")["source_row"].to_numpy()
    flagged = read_parquet(folder / "scores.parquet")["flagged"].to_numpy()
    assert flagged[wrong[rows]].all()
    assert flagged[~wrong[rows]].mean() < 0.1
    assert summary["data"]["groups"] == {"count": 60, "largest": 4, "shared": 240, "column": "patient"}
    assert summary["data"]["features"] == 3
    controls = summary["queue"]["controls"]
    assert (controls["planted"], controls["planted_groups"]) == (24, 6)
    dataset = Validation.model_validate(read_json(folder / "steps" / "validate.json")["record"]).dataset
    fold = judge_of(
        folder, dataset, AuditOptions()
    ).model.design.group.numpy()  # the refits of `apply` have the same folds
    assert (np.bincount(fold) == 48).all()
    assert all(len(set(fold[rows // 4 == person])) == 1 for person in range(60))
    page = (folder / "report.html").read_text()
    assert "240 samples in 60 groups" in page
    assert "24 labels of 6 whole groups" in page
    assert "group: patient" in (folder / "config.yaml").read_text()


def test_copies_share_a_fold_without_being_asked(prefect_server, tmp_path):
    frame, wrong = patients(noise=0.005)
    frame.drop(columns="patient").to_csv(tmp_path / "x.csv", index=False)
    summary = swept(tmp_path)
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    rows = read_parquet(folder / "dataset.parquet")["source_row"].to_numpy()
    flagged = read_parquet(folder / "scores.parquet")["flagged"].to_numpy()
    assert flagged[wrong[rows]].mean() > 0.9
    assert flagged[~wrong[rows]].mean() < 0.1
    assert summary["data"]["groups"]["column"] is None
    assert 60 <= summary["data"]["groups"]["count"] <= 70
    assert (
        "nearly the same as another one, and lie in one fold with it" in (folder / "report.html").read_text()
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"group": "patent"}, "no group column 'patent'.*did you mean 'patient'"),
        ({"group": "visits"}, "group column 'visits' holds list<.*name a column of text or numbers"),
        ({"group": "label"}, "column 'label' is named as label and as group"),
        (
            {"group": "patient", "features": ("a", "patient")},
            "is the group column and cannot be --features too",
        ),
    ],
)
def test_a_group_column_that_cannot_be_one_is_refused_in_one_line(tmp_path, options, said):
    frame = patients()[0].assign(visits=[[1]] * 240)
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=said) as error:
        ingest(Source(uri=str(tmp_path / "x.parquet"), **options), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_too_few_groups_are_refused_before_anything_is_fitted(prefect_server, tmp_path, capsys):
    frame, _ = patients()
    frame.assign(site=[f"s{number % 3}" for number in range(len(frame))]).to_csv(
        tmp_path / "x.csv", index=False
    )
    code = run(
        ["clean", str(tmp_path / "x.csv"), "--group", "site", "--out", str(tmp_path / "out"), "--quiet"]
    )
    assert code == 2
    said = capsys.readouterr().err
    assert "--group site: 3 groups are fewer than 5 folds" in said
    assert "use --folds 3" in said
