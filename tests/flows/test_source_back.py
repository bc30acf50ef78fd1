"""A file goes through the command and comes back as it was, but for what reviewers decided: twice, and an older version again."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from flows.cli import run
from flows.config import CleanParameters


def blobs(path: Path, rows: int = 120) -> list[bytes]:
    """Write two clouds of points, every 15th label wrong, in a file with a style of its own; return its lines."""
    rng = np.random.default_rng(0)
    lines = [b"sep kept;x ;y;species"]
    for n in range(rows):
        x, y = rng.normal(3 * (n % 2), 0.5, 2)
        label = ["Bär", "Luchs"][(n + (n % 15 == 7)) % 2]
        note = '"two\nlines"' if n % 10 == 0 else f"{n:04d}"
        lines.append(f'{note};{x:.3f};{y:.2e};"{label}"'.encode())
    lines[5] = lines[5].replace(b'"B\xc3\xa4r"', b"").replace(b'"Luchs"', b"")  # set aside: it has no label
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    return lines


def decide(out: Path, answers: dict[str, str], capsys) -> None:
    """Import decisions (a new label, or drop) and apply them."""
    with (out / "edited.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "decision", "new_label"])
        for sample, answer in answers.items():
            writer.writerow([sample, *(["drop", ""] if answer == "drop" else ["relabel", answer])])
    assert run(["import", str(out / "edited.csv"), "--reviewer", "Ada", "--out", str(out)]) == 0, (
        capsys.readouterr().err
    )
    capsys.readouterr()
    assert run(["apply", "--yes", "--no-gain", "--out", str(out)]) == 0, capsys.readouterr().err


def test_a_csv_file_comes_back_with_the_corrections_of_both_reviews(prefect_server, tmp_path, capsys):
    source, out = tmp_path / "pets.csv", tmp_path / "out"
    lines = blobs(source)
    options = ["--quiet", "--controls", "0", "--out", str(out)]
    assert run(["clean", str(source), "--label", "species", *options]) == 0, capsys.readouterr().err
    samples = pq.read_table(out / "runs" / "latest" / "dataset.parquet").to_pylist()
    of = {row["source_row"]: row["sample_id"] for row in samples}
    assert 4 not in of
    decide(out, {of[7]: "Bär", of[22]: "Luchs", of[119]: "drop"}, capsys)
    back = out / "datasets" / "pets" / "v0001" / "source" / "pets.csv"
    assert f"{back}: your own data with these changes and nothing else." in capsys.readouterr().out
    lines[8] = lines[8].replace(b"Luchs", "Bär".encode())
    lines[23] = lines[23].replace("Bär".encode(), b"Luchs")
    assert back.read_bytes() == b"\xef\xbb\xbf" + b"\r\n".join(lines[:-1])

    latest = out / "datasets" / "pets" / "latest"
    assert run(["clean", str(latest), *options]) == 0, capsys.readouterr().err
    decide(out, {of[37]: "Bär", of[0]: "drop"}, capsys)
    lines[38] = lines[38].replace(b"Luchs", "Bär".encode())
    expected = b"\xef\xbb\xbf" + b"\r\n".join([lines[0], *lines[2:-1]])
    assert (out / "datasets" / "pets" / "v0002" / "source" / "pets.csv").read_bytes() == expected

    assert run(["restore", "1", "--out", str(out)]) == 0
    assert (latest / "source" / "pets.csv").read_bytes() == back.read_bytes()


def test_a_source_that_is_put_back_is_caught_up_on(prefect_server, tmp_path, capsys):
    source, out = tmp_path / "pets.csv", tmp_path / "out"
    blobs(source)
    options = ["--label", "species", "--quiet", "--controls", "0", "--out", str(out)]
    assert run(["clean", str(source), *options]) == 0, capsys.readouterr().err
    first = pq.read_table(out / "runs" / "latest" / "dataset.parquet").to_pylist()[0]
    source.rename(tmp_path / "away.csv")
    decide(out, {first["sample_id"]: "Luchs"}, capsys)
    said = capsys.readouterr().out
    assert "Your own files were not written:" in said
    assert "pets.csv: no such file or folder; check the path\n" in said
    version = out / "datasets" / "pets" / "v0001"
    assert not (version / "source").exists()
    (tmp_path / "away.csv").rename(source)
    assert run(["apply", "--yes", "--no-gain", "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["new"], found["layout"]) == (False, str(version / "source"))
    assert b'"Luchs"' in (version / "source" / "pets.csv").read_bytes().split(b"\r\n")[1]
    assert sorted(path.name for path in version.parent.iterdir()) == ["latest", "v0000", "v0001"]


def test_files_written_again_with_the_same_rows_come_back_as_they_are_now(prefect_server, tmp_path, capsys):
    out, dated = tmp_path / "out", str(tmp_path / "pets-{date}.csv")
    first, second = tmp_path / "pets-2026-01-01.csv", tmp_path / "pets-2026-01-02.csv"
    options = ["--quiet", "--controls", "0", "--out", str(out)]
    lines = blobs(first)
    assert run(["clean", dated, *options]) == 0, capsys.readouterr().err
    sample = pq.read_table(out / "runs" / "latest" / "dataset.parquet").to_pylist()[0]
    assert sample["source_row"] == 0
    # Tonight's file has another name, other line ends, and another name of the column of the label.
    second.write_bytes(b"\n".join([lines[0].replace(b"species", b"label"), *lines[1:]]))
    first.unlink()
    assert run(["clean", dated, *options]) == 0, capsys.readouterr().err
    assert "nothing changed since run" in capsys.readouterr().out
    decide(out, {sample["sample_id"]: "Luchs"}, capsys)
    back = out / "datasets" / "pets" / "latest" / "source" / second.name
    lines[1] = lines[1].replace("Bär".encode(), b"Luchs")
    assert back.read_bytes() == second.read_bytes().replace("Bär".encode(), b"Luchs", 1)


def test_dated_files_are_found_in_a_folder_with_brackets(tmp_path):
    (tmp_path / "exports [old]").mkdir()
    newest = tmp_path / "exports [old]" / "pets-2026-01-03.csv"
    for file in (newest, newest.with_name("pets-2026-01-01.csv")):
        file.touch()
    # Another way to write a date, and none: neither is the newest one.
    for other in ("31122025", "999999"):
        newest.with_name(f"pets-{other}.csv").touch()
    assert CleanParameters(source=str(newest.with_name("pets-{date}.csv"))).source == str(newest)
    assert CleanParameters(source=str(tmp_path / "pets" / "{date}.csv")).name == "pets"


def test_an_empty_field_leaves_what_is_known_of_bundled_data():
    assert CleanParameters(source="sample:digits", truth="").truth == "true_label"


def test_dated_files_are_versions_of_one_data_set_and_each_comes_back_with_all_its_columns(
    prefect_server, tmp_path, capsys
):
    out, dated = tmp_path / "out", str(tmp_path / "pets-{date}.csv")
    options = ["--quiet", "--controls", "0", "--label", "species", "--features", "x ,y", "--out", str(out)]
    lines = blobs(tmp_path / "pets-2026-01-01.csv")
    assert run(["clean", dated, *options]) == 0, capsys.readouterr().err
    sample = pq.read_table(out / "runs" / "latest" / "dataset.parquet").to_pylist()[0]
    decide(out, {sample["sample_id"]: "Luchs"}, capsys)
    # The same rows with a column that tells no model anything: the corrected labels are known, these files are not.
    wider = [lines[0] + b";remark", *(line + f";of {n}".encode() for n, line in enumerate(lines[1:]))]
    (tmp_path / "pets-2026-01-03.csv").write_bytes(b"\r\n".join(wider))
    assert run(["clean", dated, *options]) == 0, capsys.readouterr().err
    for is_new in (True, False):
        capsys.readouterr()
        assert run(["apply", "--yes", "--no-gain", "--json", "--out", str(out)]) == 0
        assert json.loads(capsys.readouterr().out)["new"] == is_new
    wider[1] = wider[1].replace("Bär".encode(), b"Luchs")
    back = out / "datasets" / "pets" / "latest" / "source" / "pets-2026-01-03.csv"
    assert back.read_bytes() == b"\r\n".join(wider)
    assert [path.name for path in (out / "datasets").iterdir()] == ["pets"]


def test_a_part_that_is_called_otherwise_since_comes_back_as_it_is_called_now(
    prefect_server, tmp_path, capsys
):
    out, folder = tmp_path / "out", tmp_path / "pets"
    folder.mkdir()
    lines = blobs(tmp_path / "all.csv")
    for name, part in (("a.csv", lines[:60]), ("b.csv", [lines[0], *lines[60:]])):
        (folder / name).write_bytes(b"\r\n".join(part))
    command = ["clean", str(folder), "--label", "species", "--quiet", "--controls", "0", "--out", str(out)]
    assert run(command) == 0, capsys.readouterr().err
    sample = pq.read_table(out / "runs" / "latest" / "dataset.parquet").to_pylist()[0]
    decide(out, {sample["sample_id"]: "Luchs"}, capsys)
    (folder / "b.csv").rename(folder / "c.csv")
    assert run(command) == 0, capsys.readouterr().err
    assert run(["apply", "--yes", "--no-gain", "--out", str(out)]) == 0
    back = out / "datasets" / "pets" / "latest" / "source"
    assert sorted(path.name for path in back.iterdir()) == ["a.csv", "c.csv"]
