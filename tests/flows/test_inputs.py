"""Each kind of input goes through the command from the file to the queue, as a person would hand it over."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run
from tasks.records import QUEUE_COLUMNS
from tasks.storage import read_json

# What these tests do not look at, and what a sweep is as long as it is for.
SHORT = ("--folds", "3", "--controls", "0")
PENGUINS = Path(__file__).parents[2] / "data" / "penguins.csv"


def with_errors(labels: list[str], share: float, seed: int = 0) -> list[str]:
    """Return the labels with some of them exchanged for another class."""
    generator = np.random.default_rng(seed)
    classes = sorted(set(labels))
    wrong = generator.random(len(labels)) < share
    return [
        str(generator.choice([c for c in classes if c != label])) if bad else label
        for label, bad in zip(labels, wrong, strict=True)
    ]


def swept(tmp_path, capsys, source, *options) -> Path:
    """Run the command and return the folder of the run."""
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet", *options]) == 0, (
        capsys.readouterr().err
    )
    return (tmp_path / "out" / "runs" / "latest").resolve()


def test_a_mixed_table_is_swept_as_it_is(prefect_server, tmp_path, capsys):
    with PENGUINS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    given = with_errors([row["species"] for row in rows], 0.06)
    frame = pd.DataFrame(rows).assign(
        true=[row["species"] for row in rows],
        species=given,
        nest=[f"nest {n}" for n in range(len(rows))],
        score=[f"score {n}" for n in range(len(rows))],  # these are called as columns of the queue
        reason="none",
        time="noon",
        standing="no",
    )
    frame.to_csv(tmp_path / "penguins.csv", index=False)
    options = ("--label", "species", "--truth", "true", *SHORT)
    folder = swept(tmp_path, capsys, tmp_path / "penguins.csv", *options)
    summary = read_json(folder / "summary.json")
    assert summary["data"]["rows"] == len(
        rows
    )  # two penguins without any measurement but their island are kept
    assert summary["quality"]["average_precision"] > 0.9
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert {"island", "sex", "bill_length_mm", "nest", "source.score", "source.reason", "time"} <= queue[
        0
    ].keys()
    own = read_json(folder / "steps" / "ingest.json")["record"]["display_columns"]
    # `run` names the run of what an earlier queue showed, in `open.parquet`.
    assert queue[0].keys() - {*own, "content_hash"} == {*QUEUE_COLUMNS} - {"run"}
    header = (folder / "queue.csv").read_text(encoding="utf-8-sig").splitlines()[0].split(",")
    # An import of the sheet would take these for when a decision was made, and for whether it stands.
    assert {"source.time", "source.standing"} <= {*header}
    assert not {"time", "standing"} & {*header}
    page = (folder / "report.html").read_text()
    assert "What the columns are" in page
    assert "nearly every value is different" in page
    assert "island" in json.loads((folder / "model" / "features.json").read_text())[0]


def test_a_comma_in_a_column_name_is_kept_by_quotes_and_long_names_are_shown_whole(
    prefect_server, tmp_path, capsys
):
    long = "how strongly the respondent agrees with the statement, from not at all (1) to completely (7)"
    label = np.arange(60) % 2
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 60))
    frame = pd.DataFrame({"height, cm": label + noise[0], long: label + noise[1], "label": label})
    frame.loc[0, "label"] = 1
    frame.to_csv(tmp_path / "c.csv", index=False)
    options = ("--features", f'"height, cm","{long}"', "--controls", "0")
    folder = swept(tmp_path, capsys, tmp_path / "c.csv", *options)
    assert json.loads((folder / "model" / "features.json").read_text()) == ["height, cm", long]
    assert long in (folder / "report.html").read_text()


def docstrings() -> tuple[list[str], list[str]]:
    """Return what functions of three libraries say of themselves, with the library: real texts that are at hand."""
    import scipy.stats

    kept: dict[str, str] = {}
    for label, home in {"numpy": np, "pandas": pd.DataFrame, "scipy": scipy.stats}.items():
        for name in sorted(dir(home)):
            text = (getattr(getattr(home, name, None), "__doc__", None) or "").strip()
            if not name.startswith("_") and len(text) > 80:
                kept.setdefault(" ".join(text.split())[:600], label)
    return list(kept), list(kept.values())


def test_texts_are_swept_and_shown_to_people(prefect_server, tmp_path, capsys):
    texts, true = docstrings()
    given = with_errors(true, 0.06)
    frame = pd.DataFrame({"doc": texts, "library": given, "true": true, "length": [len(t) for t in texts]})
    frame.to_csv(tmp_path / "docs.csv", index=False)
    options = ("--label", "library", "--truth", "true", "--text", "doc", *SHORT)
    folder = swept(tmp_path, capsys, tmp_path / "docs.csv", *options)
    assert read_json(folder / "summary.json")["quality"]["average_precision"] > 0.6
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert queue[0]["text"] in texts
    with (folder / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        first = next(csv.DictReader(file))
    assert first["text"].lstrip("'")[:40] == queue[0]["text"][:40]
    page = (folder / "report.html").read_text()
    assert "texts" in page
    assert queue[0]["text"][:30].split()[0] in page


def picture_table(folder: Path, broken: int) -> Path:
    """Write real digits as pictures in one Parquet file, the first of them broken."""
    import io

    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(n_class=2, return_X_y=True)
    files = []
    for number in range(80):
        buffer = io.BytesIO()
        Image.fromarray(np.uint8(pixels[number].reshape(8, 8) * 15)).save(buffer, "PNG")
        whole = buffer.getvalue()
        files.append((b"not a picture" if number % 2 else whole[:40]) if number < broken else whole)
    frame = pd.DataFrame({"image": files, "label": labels[:80], "name": [f"scan {n}" for n in range(80)]})
    frame.to_parquet(folder / "scans.parquet")
    return folder / "scans.parquet"


def test_pictures_that_do_not_decode_are_set_aside_and_the_run_goes_on(prefect_server, tmp_path, capsys):
    folder = swept(tmp_path, capsys, picture_table(tmp_path, broken=3), "--id", "name", "--controls", "0")
    rows = pq.read_table(folder / "quarantine.parquet").to_pylist()
    assert [row["sample_id"] for row in rows] == ["scan 0", "scan 1", "scan 2"]
    assert all(row["reason"].startswith("the image does not decode (") for row in rows)
    assert rows[1]["reason"] == "the image does not decode (not an image of a known format)"
    assert read_json(folder / "summary.json")["data"]["rows"] == 77
    assert "the image does not decode" in (folder / "report.html").read_text()


def test_too_many_pictures_that_do_not_decode_exit_3(prefect_server, tmp_path, capsys):
    source = picture_table(tmp_path, broken=30)
    assert run(["clean", str(source), "--out", str(tmp_path / "out"), "--quiet", "--id", "name"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "37.5% of 80 rows fail validation (tolerance 20%)" in line
    assert "missing or does not decode, in 30 rows, first in source row 0" in line


def test_a_folder_of_pictures_is_swept(prefect_server, tmp_path, capsys):
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    for number in range(400):
        wrong = number % 40 == 0
        digit = (int(labels[number]) + 1) % 10 if wrong else int(labels[number])
        side = 8 if number % 3 else 24  # sizes and modes differ, as they do in a folder that people filled
        image = Image.fromarray(np.uint8(pixels[number].reshape(8, 8) * 15)).resize((side, side))
        split = "train" if number % 4 else "test"
        path = (
            tmp_path / "digits" / split / f"class {digit}" / f"{'wrong' if wrong else 'right'} {number}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        (image.convert("RGBA") if number % 5 == 0 else image).save(path)
    folder = swept(tmp_path, capsys, tmp_path / "digits", "--id", "file", *SHORT)
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert sum("wrong" in row["sample_id"] for row in queue[:10]) >= 7
    assert {row["split"] for row in queue} == {"train", "test"}
    assert queue[0]["image"].startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "data:image/png;base64" in page
    assert "The model is linear, since there are fewer than 1,000 images." in page


def test_one_missing_picture_of_a_table_is_set_aside_and_the_rest_is_swept(prefect_server, tmp_path, capsys):
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(n_class=2, return_X_y=True)
    (tmp_path / "pics").mkdir()
    for number in range(120):
        image = Image.fromarray(np.uint8(pixels[number].reshape(8, 8) * 15))
        image.save(tmp_path / "pics" / f"{number}.png")
    (tmp_path / "pics" / "7.png").unlink()
    rows = "".join(f"pics\\{number}.png,{labels[number]}\n" for number in range(120))
    (tmp_path / "list.csv").write_text("file,label\n" + rows)
    folder = swept(tmp_path, capsys, tmp_path / "list.csv", "--image", "file", *SHORT)
    assert read_json(folder / "summary.json")["data"]["rows"] == 119
    (aside,) = pq.read_table(folder / "quarantine.parquet").to_pylist()
    assert (aside["source_row"], aside["reason"]) == (7, "no such image file 'pics\\7.png'")


def test_raters_and_probabilities_are_swept_and_shown(prefect_server, tmp_path, capsys):
    generator = np.random.default_rng(0)
    true = np.array(["no", "yes"])[np.arange(200) % 2]
    sure = np.clip(np.where(true == "yes", 0.9, 0.1) + generator.normal(0, 0.05, 200), 0.01, 0.99)
    votes = {name: with_errors(true.tolist(), 0.15, seed) for seed, name in enumerate(("ann", "bob", "eve"))}
    frame = pd.DataFrame({**votes, "p_no": 1 - sure, "p_yes": sure, "true": true})
    frame.to_csv(tmp_path / "votes.csv", index=False)
    options = ("--raters", "ann,bob,eve", "--pred-probs", "p_no,p_yes", "--truth", "true", *SHORT)
    folder = swept(tmp_path, capsys, tmp_path / "votes.csv", *options)
    queue = pq.read_table(folder / "queue.parquet").to_pylist()
    assert read_json(folder / "summary.json")["quality"]["average_precision"] > 0.9
    assert {"ann", "bob", "eve", "raters_agree"} <= queue[0].keys()
    assert queue[0]["reason"].startswith(f"Raters said {queue[0]['given_label']} (2), ")
    # Two thirds of the wrong majorities are two votes against one; the votes are in the score, and none is flagged but these.
    assert read_json(folder / "summary.json")["quality"]["f1"] > 0.9
    assert "raters_agree" in (folder / "report.html").read_text()
