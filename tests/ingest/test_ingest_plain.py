"""Text whose name does not say how it is written is told by its first lines."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.ingest.text.arff import ArffFile
from tasks.records import Source

ROWS = 60
DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "width": DRAW.normal(size=ROWS).round(2),
        "age": DRAW.integers(1, 40, ROWS),
        "kind": ["Iris a", "b", "c"] * 20,
    }
)
HEADER = (
    "@relation plants\n@attribute width numeric\n@attribute age integer\n@attribute kind {'Iris a', b, c}\n"
)


def ingested(path, label="kind"):
    return ingest(Source(uri=str(path), label=label), path.parent / "run")


def as_arff(frame: pd.DataFrame, *, sparse: bool) -> str:
    lines = []
    for width, age, kind in frame.itertuples(index=False):
        named = f", 2 {kind}" if kind != "Iris a" else ""
        lines.append(f"{{0 {width}, 1 {age}{named}}}" if sparse else f"{width}, {age}, '{kind}'")
    return "% made by hand\n" + HEADER + "\n@data\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "name", ["x.txt", "x.dat", "x.data", "blanks.dat", "x.arff", "sparse.arff", "keel.dat", "utf16.txt"]
)
def test_the_same_table_is_read_from_every_way_to_write_it(name, tmp_path):
    path, expected = tmp_path / name, FRAME
    if name == "blanks.dat":
        path.write_text(
            "".join(f'{width:9.2f}  {age}\t"{kind}"\n' for width, age, kind in FRAME.itertuples(index=False))
        )
        expected = FRAME.set_axis(["c0", "c1", "c2"], axis=1)
    elif name == "keel.dat":
        text = as_arff(FRAME, sparse=False).replace("@attribute kind", "@attribute Kind")
        path.write_text(text.replace("\n@data", "@inputs width, age\n@outputs Kind\n@data"))
        expected = FRAME.rename(columns={"kind": "Kind"})
    elif name.endswith(".arff"):
        path.write_text(as_arff(FRAME, sparse=name.startswith("sparse")))
    else:
        encoding = "utf-16" if name == "utf16.txt" else "utf-8"
        FRAME.to_csv(path, index=False, sep="\t" if name == "utf16.txt" else "|", encoding=encoding)
    label = expected.columns[-1] if name == "blanks.dat" or "txt" in name or "x." in name[:2] else "label"
    found = pd.read_parquet(ingested(path, label).path)
    assert (
        np.stack(found["features"]).round(2).tolist()
        == FRAME[["width", "age"]].to_numpy().round(2).astype("f4").round(2).tolist()
    )
    assert found["label"].tolist() == FRAME["kind"].tolist()


def test_labels_of_fasttext_and_libsvm_are_read(tmp_path):
    (tmp_path / "t.txt").write_text(
        "".join(f"__label__{kind[-1]} a text {age}\n" for _, age, kind in FRAME.values)
    )
    texts = ingested(tmp_path / "t.txt", "label")
    assert (texts.payload, texts.rows, texts.classes) == ("text", ROWS, ("a", "b", "c"))
    dump_svmlight_file(
        FRAME[["width", "age"]], np.tile([-1, 1], 30), str(tmp_path / "t.libsvm"), zero_based=False
    )
    table = ingested(tmp_path / "t.libsvm", "label")
    assert (table.feature_names, table.classes) == (("f1", "f2"), ("-1", "1"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.txt", "__label__a one\n__label__a __label__b two\n", "line 2 has 2 labels: multi-label data"),
        ("t.svm", "1 5000:1\n-1 2:1\n", "sparse vectors of 5,000 features are too wide"),
        ("t.arff", HEADER, "an ARFF file without @data"),
        ("t.arff", HEADER + "@data\n1,2\n", "line 6 has 2 fields, the header has 3"),
    ],
)
def test_what_cannot_be_swept_says_why(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        ingested(tmp_path / name)


def test_the_one_table_of_an_archive_is_found_among_its_notes(tmp_path):
    with zipfile.ZipFile(tmp_path / "iris.zip", "w") as archive:
        archive.writestr("iris.data", FRAME.to_csv(index=False, header=False))
        archive.writestr("iris.names", "1. Title: plants")
        archive.writestr("README.txt", "Please cite us.")
    assert ingested(tmp_path / "iris.zip", "c2").rows == ROWS


def test_escaped_quotes_of_arff_belong_to_the_value():
    lines = enumerate([r"'it\'s', 1"], start=1)
    assert list(ArffFile(None, (None, None), "", lines).rows()) == [(1, ["it's", "1"])]
