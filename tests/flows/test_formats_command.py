"""Files of other programs go through the command from the file to the queue; what it took without being asked, it says."""

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.clean import clean_labels
from flows.cli import run
from flows.config import CleanParameters
from tasks.review.log import Decision, DecisionLog, log_path

ROWS, PLANTED = 160, 12
SHORT = ("--folds", "3", "--controls", "0", "--rounds", "1")


def pets() -> pd.DataFrame:
    """Return two well separated classes, the first few labels of which are wrong."""
    generator = np.random.default_rng(0)
    truth = np.arange(ROWS) % 2
    kind = np.where(np.arange(ROWS) < PLANTED, 1 - truth, truth)
    x = generator.normal(truth[:, None] * 3.0, 0.4, (ROWS, 2)).round(3)
    return pd.DataFrame(
        {"id": range(ROWS), "x": x[:, 0], "z": x[:, 1], "species": np.array(["cat", "dog"])[kind]}
    )


def as_excel(folder: Path) -> Path:
    pets().to_excel(folder / "pets.xlsx", index=False, startrow=2)
    return folder / "pets.xlsx"


def as_partitions(folder: Path) -> Path:
    table = pa.Table.from_pandas(pets(), preserve_index=False)
    pq.write_to_dataset(table, str(folder / "pets"), partition_cols=["species"])
    return folder / "pets"


def as_archived_json(folder: Path) -> Path:
    pets().to_json(folder / "pets.json.xz", orient="records")
    return folder / "pets.json.xz"


@pytest.mark.parametrize("write", [as_excel, as_partitions, as_archived_json])
def test_other_formats_are_swept_and_what_was_taken_is_said(write, prefect_server, tmp_path, capsys):
    assert run(["clean", str(write(tmp_path)), "--out", str(tmp_path / "out"), *SHORT]) == 0
    said = capsys.readouterr().err
    assert "column 'species' is the label; --label names another" in said
    assert "column 'id' identifies the samples; --id names another" in said
    queue = pq.read_table(tmp_path / "out" / "runs" / "latest" / "queue.parquet")
    assert set(queue["sample_id"].to_pylist()[:PLANTED]) == {str(row) for row in range(PLANTED)}


def test_decisions_outlive_a_change_from_ids_of_content_to_ids_of_the_file(
    prefect_server, tmp_path, monkeypatch
):
    pets().to_parquet(tmp_path / "pets.parquet")
    parameters = CleanParameters(
        source=str(tmp_path / "pets.parquet"), out=tmp_path / "out", rounds=1, folds=3, controls=0
    )
    with monkeypatch.context() as before:
        before.setattr("tasks.ingest.pipeline.find_id", lambda *_: (None, ""))
        first = clean_labels(parameters)
    queued = pq.read_table(first.folder / "queue.parquet").to_pylist()
    decided = queued[:5]
    log = DecisionLog(log_path(parameters.out))
    keys = ("sample_id", "content_hash", "given_label")
    log.append(
        [
            Decision(
                decision="keep",
                new_label=None,
                reviewer="Ada",
                run=first.folder.name,
                **{key: row[key] for key in keys},
            )
            for row in decided
        ]
    )
    log.close()
    second = clean_labels(parameters.model_copy(update={"force": True}))
    shown = pq.read_table(second.folder / "queue.parquet")
    assert set(shown["sample_id"].to_pylist()) <= {str(row) for row in range(ROWS)}
    assert shown.num_rows >= PLANTED - 5
    assert not {row["content_hash"] for row in decided} & set(shown["content_hash"].to_pylist())


def test_a_query_is_swept_and_swept_again_only_when_its_rows_changed(prefect_server, tmp_path, capsys):
    with sqlite3.connect(tmp_path / "pets.db") as connection:
        pets().to_sql("pets", connection, index=False)
    address = f"sqlite:///{tmp_path}/pets.db?query=SELECT * FROM pets ORDER BY random()"  # noqa: S608
    command = ["clean", address, "--out", str(tmp_path / "out"), *SHORT]
    assert run(command) == 0
    assert "column 'id' identifies the samples" in capsys.readouterr().err
    assert run(command) == 0
    assert "nothing changed since run pets-" in "".join(capsys.readouterr())
    connection.execute("UPDATE pets SET species = 'cat' WHERE id = 101")
    connection.commit()
    connection.close()
    assert run(command) == 0
    assert "nothing changed" not in "".join(capsys.readouterr())
    queue = pq.read_table(tmp_path / "out" / "runs" / "latest" / "queue.parquet")
    assert queue["sample_id"].to_pylist() == ["101"]
