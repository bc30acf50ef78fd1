"""Files as tools write them: shards of WebDataset, answers of annotation tools, competitions, databases, headers of two rows."""

import io
import json
import sqlite3
import tarfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source

ROWS = 40
DRAW = np.random.default_rng(0)
CLASSES = ["cat", "dog"] * (ROWS // 2)
FRAME = pd.DataFrame(
    {"x": DRAW.normal(size=ROWS).round(2), "y": DRAW.normal(size=ROWS).round(2), "label": CLASSES}
)
TEXTS = [f"a short text {row}" for row in range(ROWS)]


def ingested(path, **options):
    return ingest(Source(uri=str(path), **options), path.parent / "run")


def labels_of(dataset):
    return pq.read_table(dataset.path)["label"].to_pylist()


def write_shard(path, samples, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in samples:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def picture(row):
    file = io.BytesIO()
    Image.fromarray(DRAW.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(file, "PNG")
    return (f"./{row:04d}.png", file.getvalue())


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_shards_of_webdataset_are_images_with_labels(kind, tmp_path):
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        samples = []
        for row in range(shard * 20, shard * 20 + 20):
            said = (
                CLASSES[row]
                if kind == "cls"
                else json.dumps({"class": CLASSES[row], "tags": []} | ({"width": row} if row else {}))
            )
            samples += [picture(row), (f"./{row:04d}.{kind}", said.encode())]
        write_shard(tmp_path / "shards" / f"{shard}.tar{'.gz' * shard}", samples, "w:gz" if shard else "w")
    found = ingested(tmp_path / "shards")
    assert (found.payload, found.feature_shape, labels_of(found)) == ("image", (8, 8, 3), CLASSES)
    if kind == "json":  # the first sample has no width
        assert pq.read_table(found.path)["width"].to_pylist()[:3] == [None, 1, 2]


def test_a_broken_file_in_a_shard_is_named(tmp_path):
    write_shard(
        tmp_path / "pets.tar", [picture(0), ("0.json", b'{"class": "c'), picture(1), ("1.json", b"{}")]
    )
    with pytest.raises(InputError, match=r"'0\.json' is no JSON"):
        ingested(tmp_path / "pets.tar")


def test_an_archive_of_images_without_labels_says_what_to_do(tmp_path):
    write_shard(tmp_path / "pets.tar", [picture(row) for row in range(3)])
    with pytest.raises(InputError, match=r"no WebDataset: beside its images lie no labels .*; unpack it"):
        ingested(tmp_path / "pets.tar")


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_was_accepted_in_prodigy_is_the_label(tmp_path):
    asked = [{"text": text, "_input_hash": row, "_task_hash": row} for row, text in enumerate(TEXTS)]
    one = [
        task | {"label": "CAT", "answer": "accept" if each == "cat" else "reject"}
        for task, each in zip(asked, CLASSES, strict=False)
    ]
    assert set(labels_of(ingested(write_lines(tmp_path / "one.jsonl", one)))) == {"CAT", "not CAT"}
    some = [
        task | {"options": [], "accept": [each], "answer": "ignore" if row == 5 else "accept"}
        for row, (task, each) in enumerate(zip(asked, CLASSES, strict=False))
    ]
    found = ingested(write_lines(tmp_path / "some.jsonl", some))
    assert (found.payload, labels_of(found)) == ("text", CLASSES[:5] + CLASSES[6:])
    assert "1 of 40 questions have no answer that is a label, and are left out" in found.notes
    some[7]["accept"] = ["cat", "dog"]
    with pytest.raises(InputError, match="holds lists: multi-label data are not supported"):
        ingested(write_lines(tmp_path / "several.jsonl", some))


def test_the_labels_of_doccano_are_read_in_both_forms(tmp_path):
    texts = [{"text": text, "meta": {}} for text in TEXTS]
    named = [task | {"labels": [each]} for task, each in zip(texts, CLASSES, strict=False)]
    numbered = [
        task | {"annotations": [{"label": CLASSES.index(each), "user": 1}]}
        for task, each in zip(texts, CLASSES, strict=False)
    ]
    assert labels_of(ingested(write_lines(tmp_path / "named.jsonl", named))) == CLASSES
    assert set(labels_of(ingested(write_lines(tmp_path / "numbered.jsonl", numbered)))) == {"0", "1"}


def test_the_test_set_of_a_competition_is_left_out_and_said(tmp_path):
    folder = tmp_path / "titanic"
    folder.mkdir()
    FRAME.to_csv(folder / "train.csv", index=False)
    FRAME.drop(columns="label").to_csv(folder / "test.csv", index=False)
    FRAME[["label"]].to_csv(folder / "gender_submission.csv", index=False)
    found = ingested(folder)
    assert found.rows == ROWS
    assert "test.csv beside the other files is not read" in found.notes


@pytest.mark.parametrize("out", ["data/", ""])
def test_results_within_the_swept_folder_are_no_data(out, tmp_path):
    folder = tmp_path / "pets"
    run = folder / f"{out}runs" / "pets-1"
    run.mkdir(parents=True)
    FRAME.to_csv(folder / "train.csv", index=False)
    (run / "request.json").write_text("{}")
    FRAME.to_parquet(run / "scores.parquet")
    FRAME.to_csv(run / "queue.csv")
    assert ingested(folder).rows == ROWS


def test_a_database_is_told_how_to_name_a_query(tmp_path):
    with sqlite3.connect(tmp_path / "pets.db") as connection:
        FRAME.to_sql("my pets", connection, index=False)
    for uri in (str(tmp_path / "pets.db"), f"sqlite:///{tmp_path}/pets.db"):
        with pytest.raises(InputError) as caught:
            ingest(Source(uri=uri), tmp_path / "run")
        assert 'query=SELECT * FROM "my pets"' in caught.value.fix


def as_two_rows(path):
    FRAME.set_axis(pd.MultiIndex.from_tuples([("size", "x"), ("size", "y"), ("", "label")]), axis=1).to_csv(
        path, index=False
    )


def as_row_names(path):
    header, *rows = FRAME.to_csv(index=False).splitlines()
    path.write_text("\n".join([header, *(f'"{row}",{line}' for row, line in enumerate(rows))]))


def as_nul(path):
    note = ["o\0k" if row == 3 else "ok" for row in range(ROWS)]
    FRAME.assign(note=note)[["x", "y", "note", "label"]].to_csv(path, index=False)


@pytest.mark.parametrize("write", [as_two_rows, as_row_names, as_nul])
def test_headers_and_characters_of_other_programs_are_read(write, tmp_path):
    write(tmp_path / "t.csv")
    found = ingested(tmp_path / "t.csv")
    assert (found.feature_names[:2], labels_of(found)) == (("x", "y"), CLASSES)


def test_quotes_behind_backslashes_are_read_and_paths_that_end_with_one_stay(tmp_path):
    said = [f'"{text}", he said, "really"' for text in TEXTS]
    lines = [
        f'"{text.replace(chr(34), chr(92) + chr(34))}","{label}"'
        for text, label in zip(said, CLASSES, strict=False)
    ]
    (tmp_path / "t.csv").write_text('"text","label"\n' + "\n".join(lines))
    assert pq.read_table(ingested(tmp_path / "t.csv").path)["text"].to_pylist() == said
    pd.DataFrame({"text": [rf"a \"word\" {text} or so" for text in TEXTS], "label": CLASSES}).to_csv(
        tmp_path / "d.csv"
    )
    assert r"a \"word\" a" in pq.read_table(ingested(tmp_path / "d.csv", text="text").path)["text"][0].as_py()
    paths = [rf"C:\data {row} of it\{'x' * 40}\\"[:-1] for row in range(ROWS)]
    pd.DataFrame({"text": paths, "label": CLASSES}).to_csv(tmp_path / "p.csv", index=False, quoting=1)
    assert pq.read_table(ingested(tmp_path / "p.csv", text="text").path)["text"].to_pylist() == paths


@pytest.mark.parametrize("delimiter", ["\x01", "^", "~"])
def test_rare_delimiters_are_found(delimiter, tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False, sep=delimiter)
    assert labels_of(ingested(tmp_path / "t.csv")) == CLASSES


def test_parse_trees_do_not_stand_for_the_other_text_of_a_pair(tmp_path):
    draw = np.random.default_rng(0)
    rows = []
    for number in range(120):
        first, second = (" ".join(draw.choice([f"w{n}" for n in range(90)], 9)) for _ in "ab")
        trees = {f"{name}_parse": f"(ROOT (NP {text}))" for name, text in (("one", first), ("two", second))}
        marks = {"one_binary": f"( {first} )", "label": "yn"[number % 2]}
        rows.append({"one": first, **marks, "one_parse": trees["one_parse"], "two": second, **trees})
    pd.DataFrame(rows).to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    dataset = ingest(Source(uri=str(tmp_path / "pairs.jsonl")), tmp_path / "run")
    assert [column.name for column in dataset.columns] == ["one", "two"]


def test_two_texts_of_a_pair_are_both_learned_from(tmp_path):
    frame = pd.DataFrame({"question1": TEXTS, "question2": TEXTS[::-1], "label": CLASSES})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert [column.kind for column in ingested(tmp_path / "t.csv").columns] == ["text", "text"]


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        (
            "t.csv",
            lambda path: FRAME.to_json(path, orient="records", lines=True),
            "it looks like JSON; rename it to .jsonl",
        ),
        ("t.xls", FRAME.to_csv, "it looks like text, such as CSV"),
        ("t.json", lambda path: FRAME.to_csv(path, index=False), "it looks like text, such as CSV"),
        (
            "t.parquet",
            lambda path: pd.DataFrame({"tokens": [["a", "b"]] * ROWS, "label": CLASSES}).to_parquet(path),
            "column 'tokens' holds lists of words; join the words",
        ),
        (
            "t.parquet",
            lambda path: pd.DataFrame(
                {"turns": [[{"role": "user"}, {"role": "bot"}]] * ROWS, "label": CLASSES}
            ).to_parquet(path),
            "column 'turns' holds lists of objects; join the objects",
        ),
    ],
)
def test_a_file_of_another_form_says_what_it_is(name, write, said, tmp_path):
    write(tmp_path / name)
    with pytest.raises(InputError, match=said):
        ingested(tmp_path / name)


def test_half_floats_are_labels_as_others_are(tmp_path):
    halves = np.array([1.0, 0.0] * 20, np.float16)
    pq.write_table(pa.table({"x": FRAME["x"], "label": halves}), tmp_path / "t.parquet")
    assert ingested(tmp_path / "t.parquet").classes == ("0", "1")


@pytest.mark.parametrize("name", ["t.tsv", "t.txt"])
def test_quotes_that_nothing_closes_are_text_and_swallow_no_row(name, tmp_path):
    said = [f'"{text}' if row % 10 == 0 else f'{text} of 5" and "so"' for row, text in enumerate(TEXTS)]
    rows = ["\t".join(pair) for pair in zip(said, CLASSES, strict=True)]
    (tmp_path / name).write_text("\n".join(["text\tlabel", *rows]))
    assert pq.read_table(ingested(tmp_path / name).path)["text"].to_pylist() == said


def test_quoted_fields_with_line_breaks_stay_whole(tmp_path):
    said = [f'{text}\nsaid "so", twice' for text in TEXTS]
    pd.DataFrame({"text": said, "label": CLASSES}).to_csv(tmp_path / "t.csv", index=False)
    assert pq.read_table(ingested(tmp_path / "t.csv").path)["text"].to_pylist() == said


def test_quoted_fields_of_a_tsv_lose_their_quotes(tmp_path):
    pd.DataFrame({"text": TEXTS, "label": CLASSES}).to_csv(
        tmp_path / "t.tsv", index=False, sep="\t", quoting=1
    )
    assert pq.read_table(ingested(tmp_path / "t.tsv").path)["text"].to_pylist() == TEXTS


def test_a_pointer_of_git_lfs_says_how_to_fetch_the_file(tmp_path):
    (tmp_path / "t.parquet").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"
    )
    with pytest.raises(InputError, match="git lfs pull"):
        ingested(tmp_path / "t.parquet")


def test_short_texts_alone_are_what_is_learned_from(tmp_path):
    pd.DataFrame({"question": TEXTS, "intent": CLASSES}).to_csv(tmp_path / "t.csv", index=False)
    found = ingested(tmp_path / "t.csv")
    assert (found.payload, found.label_column) == ("text", "intent")
