"""A table as a German Excel writes it, through the command: read right, and what was guessed is said in the log and the report."""

import numpy as np
import pyarrow.parquet as pq

from flows.cli import run


def test_a_german_export_is_swept_and_what_was_guessed_is_said(prefect_server, tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = np.arange(240) % 3
    x = rng.normal(size=(240, 2)) + 3 * label[:, None]
    names = ["grün", "NA", "weiß"]
    rows = [[f"{a:.3f} €", f"{b:.3f}", names[kind]] for (a, b), kind in zip(x, label, strict=True)]
    for row in rows[:30:3]:
        row[2] = "Grün"
    rows[7][1], rows[8][0] = "fehlt", "?"
    text = "sep=;\r\npreis;gewicht;label;\r\n" + "".join(";".join([*row, ""]) + "\r\n" for row in rows)
    (tmp_path / "t.csv").write_bytes(text.replace(".", ",").encode("cp1252"))
    assert run(["clean", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out"), "--controls", "0"]) == 0
    said = capsys.readouterr().err
    folder = (tmp_path / "out" / "runs" / "latest").resolve()
    page = (folder / "report.html").read_text()
    for word in ("cp1252", "fehlt", "Grün", "--missing NA"):
        assert word in said
        assert word in page
    dataset = pq.read_table(folder / "dataset.parquet")
    features = np.array(dataset["features"].to_pylist())
    assert np.isnan(features).sum() == 2
    np.testing.assert_allclose(features[20:], x[20:], atol=1e-3)
    assert set(dataset["label"].to_pylist()) >= set(names)


def test_an_encoding_that_nobody_knows_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("x,label\n1,a\n2,b\n")
    assert run(["clean", str(tmp_path / "t.csv"), "--encoding", "klingon"]) == 2
    assert "names no encoding of text" in capsys.readouterr().err
