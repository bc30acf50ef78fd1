"""What people have already: probabilities of a model, labels of several raters, folders of pictures, saved data sets."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.apply.version import name_columns
from tasks.errors import InputError
from tasks.heads.samples import read_votes
from tasks.ingest import digest_files, ingest
from tasks.records import Source


def ingested(tmp_path, columns, **roles):
    path = tmp_path / "g.parquet"
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path)
    dataset = ingest(Source(uri=str(path), **roles), tmp_path / "run")
    return dataset, pq.read_table(dataset.path)


LABEL = ["a", "b", "a"]


def test_probabilities_become_clipped_logs(tmp_path):
    lists = {"p": [[0.25, 0.75], [0.0, 1.0], None], "label": LABEL}
    dataset, table = ingested(tmp_path, lists, pred_probs=("p",))
    expected = np.log([[0.25, 0.75], [1e-6, 1.0]]).astype(np.float32)
    features = np.array(table["features"].to_pylist(), np.float32)
    np.testing.assert_allclose(features[:2], expected, rtol=1e-6)
    assert np.isnan(features[2]).all()
    assert dataset.feature_names == ("p[a]", "p[b]")
    columns = {"pa": [0.25, 0.0, 0.5], "pb": [0.75, 1.0, 0.5], "label": LABEL}
    dataset, table = ingested(tmp_path, columns, pred_probs=("pa", "pb"))
    np.testing.assert_allclose(np.array(table["features"].to_pylist())[:2], expected, rtol=1e-6)
    assert dataset.feature_names == ("pa", "pb")


@pytest.mark.parametrize("columns", [("p",), ("p_cat", "p_dog", "p_hen"), ("p_dog",)])
def test_probabilities_of_other_rows_are_refused(tmp_path, columns):
    rng = np.random.default_rng(0)
    classes = ("cat", "dog") if columns == ("p_dog",) else ("cat", "dog", "hen")
    labels = rng.integers(len(classes), size=300)
    label = [classes[place] for place in labels]

    def read(given):
        values = [list(given)] if columns == ("p",) else given.T[-len(columns) :]
        given = {"label": label, **dict(zip(columns, values, strict=True))}
        return ingested(tmp_path, given, pred_probs=columns)

    logits = rng.normal(size=(300, len(classes))) + 4 * np.eye(len(classes))[labels]
    given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    read(given)
    with pytest.raises(
        InputError, match=r"nothing to do with the labels: it is 9\d% sure of a class on average"
    ):
        read(np.roll(given, 1, axis=0))  # last night's: a row has come in front since
    weak = rng.dirichlet(np.full(len(classes), 100), size=300)
    read(weak)  # of these rows or not, they claim nothing


def test_scores_of_one_against_the_rest_are_no_probabilities(tmp_path):
    scores = [[0.9, 0.8], [0.1, 0.2], [0.6, 0.4]]
    with pytest.raises(InputError, match=r"its rows sum to 0\.3 to 1\.7, not to 1"):
        ingested(tmp_path, {"p": scores, "label": LABEL}, pred_probs=("p",))


def test_the_majority_of_the_raters_is_the_given_label_and_their_agreement_is_shown(tmp_path):
    columns = {
        "x": [1, 2, 3, 4, 5],
        "ann": ["cat", "dog", "cat", "dog", None],
        "bob": ["cat", "cat", "dog", None, None],
        "eve": ["cat", "cat", None, None, None],
    }
    dataset, table = ingested(tmp_path, columns, raters=("ann", "bob", "eve"))
    assert table["label"].to_pylist() == ["cat", "cat", "cat", "dog", None]
    assert table["trusted"].to_pylist() == [True, False, False, False, False]
    assert dataset.classes == ("cat", "dog")
    assert dataset.feature_names == ("x",)
    assert dataset.raters == ("ann", "bob", "eve")
    assert {*dataset.raters, "raters_agree"} <= set(dataset.display_columns)
    np.testing.assert_allclose(table["raters_agree"].to_pylist()[:4], [1, 2 / 3, 1 / 2, 1])


def test_a_file_with_a_row_for_each_answer_is_told(tmp_path):
    people, items = ["ann", "bob", "eve"], range(20)
    columns = {
        "HITId": [f"h{item}" for item in items for _ in people],
        "WorkerId": people * 20,
        "x": [float(item) for item in items for _ in people],
        "label": [["cat", "dog"][(item + len(who)) % 2] for item in items for who in people],
    }
    (note,) = [note for note in ingested(tmp_path, columns)[0].notes if "--raters" in note]
    assert note.startswith(
        "each 'HITId' has several rows, one for each 'WorkerId': make a column of each one's answers"
    )
    assert "df.pivot(index='HITId', columns='WorkerId', values='label')" in note
    columns["HITId"] = [f"h{row}" for row in range(60)]
    assert not any("--raters" in note for note in ingested(tmp_path, columns)[0].notes)


def test_raters_who_spell_a_class_in_several_ways_agree(tmp_path):
    columns = {
        "x": list(range(6)),
        "ann": ["no", "yes", "yes", "no", "no", "yes"],
        "bob": ["Yes", "Yes", "No", "No", "No", "Yes"],
        "eve": ["YES ", "yes", "yes", "no", "NO", None],
    }
    dataset, table = ingested(tmp_path, columns, raters=("ann", "bob", "eve"))
    labels = table["label"].to_pylist()
    assert [label.lower() for label in labels] == ["yes", "yes", "yes", "no", "no", "yes"]
    assert len(set(labels)) == 2
    np.testing.assert_allclose(table["raters_agree"].to_pylist(), [2 / 3, 1, 2 / 3, 1, 1, 1])
    codes = np.array([dataset.classes.index(label) for label in labels])
    assert read_votes(dataset, codes).min(axis=1).tolist() == [0, 1, 0, 0, 0, -1]
    assert any("read as" in note for note in dataset.notes)


def test_raters_in_csv_keep_their_labels_as_written(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("x,r1,r2,label\n1,01,01,9\n2,02,02,9\n3,01,02,9\n")
    dataset = ingest(Source(uri=str(path), raters=("r1", "r2")), tmp_path / "run")
    assert dataset.classes == ("01", "02")
    assert dataset.feature_names == ("x",)


@pytest.mark.parametrize(
    ("raters", "message"),
    [
        (("ann",), "one rater is not a vote"),
        (("ann", "bop"), "no column 'bop'"),
        (("ann", "n"), "'n' is named as a rater and as id"),
    ],
)
def test_wrong_raters_are_refused_in_one_line(raters, message, tmp_path):
    columns = {"x": [1, 2], "ann": ["a", "b"], "bob": ["a", "b"], "n": ["1", "2"]}
    with pytest.raises(InputError, match=message):
        ingested(tmp_path, columns, raters=raters, id="n")


def test_a_rater_may_be_the_column_that_is_called_label(tmp_path):
    columns = {"x": [1, 2, 3], "label": ["a", "b", "a"], "second": ["a", "b", "b"], "third": ["a", "b", "b"]}
    dataset, table = ingested(tmp_path, columns, raters=("label", "second", "third"))
    assert table["label"].to_pylist() == ["a", "b", "b"]
    assert table[dataset.raters[0]].to_pylist() == columns["label"]
    assert dataset.feature_names == ("x",)
    assert read_votes(dataset, np.array([0, 1, 1])).tolist() == [[0, 0, 0], [1, 1, 1], [0, 1, 1]]


def test_a_corrected_version_keeps_its_labels_and_a_decision_overrules_the_votes(tmp_path):
    columns = {
        "x": [1, 2, 3, 4],
        "ann": ["a", "b", "a", "a"],
        "bob": ["a", "b", "b", None],
        "eve": ["a", "b", "b", "b"],
    }
    dataset, table = ingested(tmp_path, columns, raters=("ann", "bob", "eve"))
    corrected = pa.array(["b", "b", "b", "a"])  # somebody decided on the first, the last was a tie
    version = tmp_path / "version" / "dataset.parquet"
    version.parent.mkdir()
    pq.write_table(table.set_column(1, table.schema.field("label"), corrected), version)
    again = ingest(Source(uri=str(version), **name_columns(dataset)), tmp_path / "again")
    assert pq.read_table(again.path)["label"].to_pylist() == corrected.to_pylist()
    assert again.raters == dataset.raters
    assert again.feature_names == dataset.feature_names
    assert read_votes(again, np.array([1, 1, 1, 0])).tolist() == [[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, -1, 1]]


def test_a_folder_with_one_sub_folder_a_class_is_a_data_set(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("cats/one.png", "cats/deep/two.jpg", "_others/three.png", "__MACOSX/cats/one.png"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (12, 9, 3), np.uint8)).save(path)
    (tmp_path / "pets" / "notes.txt").write_text("not a picture")
    dataset = ingest(Source(uri=f"{tmp_path / 'pets'}/"), tmp_path / "run")
    table = pq.read_table(dataset.path)
    assert (dataset.payload, dataset.classes, dataset.feature_shape) == (
        "image",
        ("_others", "cats"),
        (12, 9, 3),
    )
    assert table["file"].to_pylist() == ["_others/three.png", "cats/deep/two.jpg", "cats/one.png"]
    assert table["label"].to_pylist() == ["_others", "cats", "cats"]
    before = digest_files(str(tmp_path / "pets"))
    Image.new("RGB", (12, 9)).save(tmp_path / "pets" / "_others" / "four.png")
    assert digest_files(str(tmp_path / "pets")) != before


def test_a_folder_of_pictures_of_which_none_decodes_names_the_first(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "broken.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r"cats/broken\.png: no image in column 'image' decodes"):
        ingest(Source(uri=str(tmp_path / "pets")), tmp_path / "run")


def test_class_numbers_of_a_saved_hugging_face_data_set_have_their_names(tmp_path):
    info = {"info": {"features": {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}}}
    table = pa.table({"x": [1, 2, 3, 4], "label": [0, 1, 0, -1]}).replace_schema_metadata(
        {"huggingface": json.dumps(info)}
    )
    folder = tmp_path / "saved"
    folder.mkdir()
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps(info["info"]))
    (folder / "state.json").write_text("{}")
    for source in (folder, None):
        if source is None:
            source = tmp_path / "s.parquet"
            pq.write_table(table, source)
        dataset = ingest(Source(uri=str(source)), tmp_path / f"run-{source.name}")
        assert dataset.classes == ("cat", "dog")
        assert pq.read_table(dataset.path)["label"].to_pylist() == ["dog", "cat", "dog", None]
