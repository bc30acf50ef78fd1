"""A data set that lives, night after night: each is swept, and each queue shows what is new, changed or newly flagged."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from living_data import NIGHTS, LivingData, by_command, by_flow

from flows.cli import run
from tasks.review.log import Decision, DecisionLog, log_path
from tasks.review.queue import load_queue
from tasks.review.state import Review
from tasks.runs.finished import find_run


@pytest.mark.parametrize("made", [by_command, by_flow])
def test_every_night_shows_what_is_new_or_changed_and_nothing_that_was_decided(
    made, prefect_server, tmp_path
):
    out = tmp_path / "out"
    data = made(tmp_path / "pets.csv", str(out), out)
    data.live(NIGHTS)  # looks at queue, versions and trend after each night
    assert len(list((out / "datasets" / "pets").glob("v[0-9]*"))) >= 3


def test_corrected_version_is_swept_again_round_after_round(prefect_server, tmp_path, capsys):
    out = tmp_path / "out"
    data = sweep_first_night(tmp_path / "pets.csv", out)
    asked: set[str] = set()
    for _ in range(3):
        folder = (out / "runs" / "latest").resolve()
        shown = pq.read_table(folder / "queue.parquet").to_pylist()
        earlier = folder / "open.parquet"
        still_open = pq.read_table(earlier)["sample_id"].to_pylist() if earlier.exists() else []
        assert not {row["sample_id"] for row in shown} & asked
        log = DecisionLog(log_path(out))
        todo = shown[:2] or [row for row in _read_queue_rows(out) if row["sample_id"] in still_open][:2]
        for row in todo:
            keys = {key: row[key] for key in ("sample_id", "content_hash", "given_label", "suggested_label")}
            log.append(
                [Decision(decision="relabel", new_label=row["suggested_label"], reviewer="Ada", **keys)]
            )
            asked.add(row["sample_id"])
        log.close()
        data.apply()
        latest = str(out / "datasets" / "pets" / "latest")
        options = ["--rounds", "1", "--controls", "0", "--feature-map", "raw", "--folds", "3"]
        assert run(["clean", latest, *options, "--out", str(out), "--quiet"]) == 0
    assert len(asked) >= 4


def test_decided_rows_stay_decided_where_columns_change_on_a_forced_night_and_in_the_corrected_version(
    prefect_server, tmp_path, capsys
):
    out = tmp_path / "out"
    data = by_command(tmp_path / "pets.csv", str(out), out)
    options = ["--rounds", "1", "--controls", "0", "--feature-map", "raw", "--folds", "3", "--quiet"]

    def queue() -> list[dict[str, object]]:
        return pq.read_table(out / "runs" / "latest" / "queue.parquet").to_pylist()

    def decide(row: dict[str, object], decision: str, run_id: str) -> None:
        keys = {key: row[key] for key in ("sample_id", "content_hash", "given_label")}
        new = row["suggested_label"] if decision == "relabel" else None
        log = DecisionLog(log_path(out))
        log.append([Decision(decision=decision, new_label=new, reviewer="Ada", run=run_id, **keys)])
        log.close()

    data.begin()
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    kept, first = queue()[0], (out / "runs" / "latest").resolve().name
    decide(kept, "keep", first)
    data.add_column()
    data.frame.to_csv(data.source, index=False)
    assert run(["clean", str(data.source), "--id", "id", *options, "--force", "--out", str(out)]) == 0
    older = str(out / "runs" / first / "queue.csv")
    edited = pd.read_csv(older, dtype=str).assign(decision="unsure")
    edited[-1:].to_csv(tmp_path / "edited.csv", index=False)  # filled in before the night, imported after it
    assert run(["import", str(tmp_path / "edited.csv"), "--out", str(out)]) == 0
    shown = {row["sample_id"]: row for row in queue()}
    assert kept["sample_id"] not in shown
    assert len(shown) >= 4  # what is open is shown again
    assert json.loads((out / "runs" / "latest" / "version.json").read_text())["version"] == 2
    changed = next(iter(shown.values()))
    decide(changed, "relabel", (out / "runs" / "latest").resolve().name)
    log = DecisionLog(log_path(out))
    review = Review(
        load_queue(out / "runs" / first), log
    )  # the page of the older run does not ask again either
    log.close()
    asked = {item.sample_id: item for item in review.queue.items}
    assert review.status(asked[changed["sample_id"]], "Bo") == "settled"
    assert review.count_open("Bo") == len(asked) - 3
    capsys.readouterr()
    data.apply()
    assert "Left out" not in capsys.readouterr().out
    assert run(["clean", str(out / "datasets" / "pets" / "latest"), *options, "--out", str(out)]) == 0
    assert not {row["sample_id"] for row in queue()} & {kept["sample_id"], changed["sample_id"]}
    assert run(["apply", first, "--yes", "--no-gain", "--out", str(out)]) == 0
    assert "Left out" not in capsys.readouterr().out


def test_typos_of_a_class_do_not_stop_the_night_but_come_first_with_the_class_that_was_meant(
    prefect_server, tmp_path, capsys
):
    out = tmp_path / "out"
    data = by_command(tmp_path / "pets.csv", str(out), out)
    data.begin()
    data.frame["label"] = data.frame["label"].replace({"cat": "north", "dog": "south"})
    data.frame.loc[[30, 41], "label"] = ["norht", "souht"]
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    folder = find_run(out)
    rows = pq.read_table(folder / "queue.parquet").to_pylist()
    assert {(row["sample_id"], row["given_label"], row["suggested_label"]) for row in rows[:2]} == {
        ("row-30", "norht", "north"),
        ("row-41", "souht", "south"),
    }
    assert "did somebody mean" in rows[0]["reason"]
    assert len(pq.read_table(folder / "dataset.parquet")) == 84
    log = DecisionLog(log_path(out))
    keys = {key: rows[0][key] for key in ("sample_id", "content_hash", "given_label")}
    log.append([Decision(decision="relabel", new_label=rows[0]["suggested_label"], reviewer="Ada", **keys)])
    log.close()
    data.apply()
    corrected = pq.read_table(next((out / "datasets" / "pets").glob("v0001")) / "dataset.parquet").to_pylist()
    labels = {row["sample_id"]: row["label"] for row in corrected}
    assert labels[rows[0]["sample_id"]] == rows[0]["suggested_label"]
    assert labels[rows[1]["sample_id"]] == rows[1]["given_label"]


def test_review_means_a_data_set_and_asks_which_where_there_are_several(prefect_server, tmp_path, capsys):
    out = tmp_path / "out"
    for name in ("pets", "cars"):
        data = by_command(tmp_path / f"{name}.csv", str(out), out)
        data.begin()
        data.frame.to_csv(data.source, index=False)
        data.sweep()
    assert run(["apply", "--out", str(out)]) == 2
    assert "there are several data sets: 'cars', 'pets'; name one of them" in capsys.readouterr().err
    assert run(["apply", "pets", "--out", str(out)]) == 0
    assert "newest run: pets-" in capsys.readouterr().err
    (link,) = (out / "latest").glob("pets-*")
    assert link.resolve() == find_run(out, "pets")


def sweep_first_night(source: Path, out: Path) -> LivingData:
    """Return a data set that the command has swept once."""
    data = by_command(source, str(out), out)
    data.begin()
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    return data


def _read_queue_rows(out: Path) -> list[dict[str, object]]:
    return [
        row for path in (out / "runs").glob("*-*/queue.parquet") for row in pq.read_table(path).to_pylist()
    ]


def test_a_class_keeps_its_spelling_whatever_most_rows_have_tonight(prefect_server, tmp_path, capsys):
    out = tmp_path / "out"
    data = sweep_first_night(tmp_path / "pets.csv", out)
    before = find_run(out)
    edited = pd.read_csv(before / "queue.csv", dtype=str)
    edited.assign(new_label=edited["suggested_label"])[:3].to_csv(tmp_path / "edited.csv", index=False)
    assert run(["import", str(tmp_path / "edited.csv"), "--out", str(out)]) == 0
    data.add()
    most = data.frame.index % 3 > 0
    data.frame.loc[most, "label"] = data.frame.loc[most, "label"].str.title()
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    rows = json.loads((out / "runs" / "latest" / "since.json").read_text())["rows"]
    assert (rows["new"], rows["changed"]) == (8, 0)
    queue = pq.read_table(out / "runs" / "latest" / "queue.parquet").to_pylist()
    assert not {row["sample_id"] for row in queue} & set(edited["sample_id"])
    data.apply()
    back = pd.read_csv(out / "datasets" / "pets" / "latest" / "source" / "pets.csv")
    changed = back[back["label"] != data.frame["label"]]
    assert set(changed["id"]) == set(edited["sample_id"][:3])
    assert set(changed["label"]) <= {"Cat", "Dog", "cat", "dog"}


def test_a_sheet_of_last_night_is_read_after_tonight_whatever_became_of_its_rows_and_ids(
    prefect_server, tmp_path, capsys
):
    out = tmp_path / "out"
    data = sweep_first_night(tmp_path / "pets.csv", out)
    before = find_run(out)
    sheet = pd.read_csv(before / "queue.csv", dtype=str)
    sheet["new_label"] = sheet["suggested_label"]
    ids = sheet["sample_id"].tolist()
    data.frame = data.frame[data.frame["id"] != ids[0]]  # decided on, and gone
    data.add()
    data.frame.to_csv(data.source, index=False)
    data.sweep()
    sheet.loc[1, "sample_id"] = "20. Mar"  # what a spreadsheet program made of an id
    sheet.to_csv(tmp_path / "edited.csv", index=False)
    capsys.readouterr()
    assert run(["import", str(tmp_path / "edited.csv"), "--out", str(out)]) == 0
    assert f"the file is the queue of run {before.name}" in capsys.readouterr().err
    log = DecisionLog(log_path(out))
    assert [(row.sample_id, row.run) for row in log.list_since()] == [(name, before.name) for name in ids]
    log.close()
    data.apply()
    back = pd.read_csv(out / "datasets" / "pets" / "latest" / "source" / "pets.csv")
    assert set(back["id"][back["label"].to_numpy() != data.frame["label"].to_numpy()]) == set(ids[1:])
