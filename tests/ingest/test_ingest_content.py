"""What becomes a feature, what is shown to a reviewer, and what is done when nobody said so."""

import datetime as dt
import decimal
import json
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Source, Synthetic


def ingested(tmp_path, table, **columns):
    path = tmp_path / "c.parquet"
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
    dataset = ingest(Source(uri=str(path), **columns), tmp_path / "run")
    return dataset, pq.read_table(dataset.path)


def features(table) -> np.ndarray:
    return np.array(table["features"].to_pylist(), np.float32)


LABEL = pa.array(["a", "b", "a"])


def test_every_kind_of_number_and_date_is_a_feature(tmp_path):
    dataset, table = ingested(
        tmp_path,
        {
            "i": pa.array([1, 2, None], pa.int64()),
            "u": pa.array([1, 2, 3], pa.uint8()),
            "h": pa.array(np.array([0.5, 1, 2], np.float16)),
            "d": pa.array([decimal.Decimal("0.25"), None, decimal.Decimal("1.50")]),
            "b": pa.array([True, None, False]),
            "f": [1e300, float("nan"), -1.0],
            "text": ["p", "q", "r"],
            "when": [dt.date(2020, 1, 1)] * 3,
            "label": LABEL,
        },
    )
    assert dataset.feature_names == ("i", "u", "h", "d", "b", "f", "when")
    nan, inf, day = np.nan, np.inf, 18_262
    expected = [
        [1, 1, 0.5, 0.25, 1, inf, day],
        [2, 2, 1, nan, nan, nan, day],
        [nan, 3, 2, 1.5, 0, -1, day],
    ]
    np.testing.assert_array_equal(features(table), np.array(expected, np.float32))
    assert dataset.display_columns == ("i", "u", "h", "d", "b", "f", "text", "when")
    assert table["when"].to_pylist() == [dt.date(2020, 1, 1)] * 3


def test_a_chosen_subset_comes_in_the_chosen_order_and_the_rest_is_shown(tmp_path):
    dataset, table = ingested(
        tmp_path, {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9], "label": LABEL}, features=("c", "a")
    )
    assert dataset.feature_names == ("c", "a")
    assert features(table).tolist() == [[7, 1], [8, 2], [9, 3]]
    assert dataset.display_columns == ("a", "b", "c")


def test_numbers_written_as_text_are_features_when_named(tmp_path):
    _, table = ingested(tmp_path, {"t": ["1.5", " 2", None], "label": LABEL}, features=("t",))
    np.testing.assert_array_equal(features(table).ravel(), np.array([1.5, 2, np.nan], np.float32))


def test_row_numbers_are_no_features(tmp_path):
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0], "label": ["a", "b", "a"]}).iloc[[2, 0, 1]]
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_csv(tmp_path / "p.csv")
    pd.read_csv(tmp_path / "p.csv").to_csv(tmp_path / "q.csv")
    for name in ("p.parquet", "p.csv", "q.csv"):
        dataset = ingest(Source(uri=str(tmp_path / name)), tmp_path / f"run-{name}")
        assert dataset.feature_names == ("x",)
        assert "x" in dataset.display_columns


def test_a_named_feature_wins_over_what_its_name_suggests(tmp_path):
    dataset, _ = ingested(
        tmp_path, {"id": [1, 2, 3], "label": LABEL, "true_label": [1, 2, 3]}, features=("id", "true_label")
    )
    assert dataset.feature_names == ("id", "true_label")


def test_columns_that_have_our_names_are_kept_as_the_sources(tmp_path):
    dataset, table = ingested(
        tmp_path,
        {
            "x": [1, 2, 3],
            "label": ["p", "q", "r"],
            "sample_id": ["s", "t", "t"],  # no ids, since two are the same
            "source.label": ["v", "w", "x"],
            "y": LABEL,
        },
        label="y",
    )
    assert dataset.display_columns == ("x", "source.source.label", "source.sample_id", "source.label")
    assert table["label"].to_pylist() == LABEL.to_pylist()
    assert table["source.source.label"].to_pylist() == ["p", "q", "r"]
    assert table["source.label"].to_pylist() == ["v", "w", "x"]
    assert table["source.sample_id"].to_pylist() == ["s", "t", "t"]


def test_columns_that_are_called_as_those_of_the_queue_are_kept_as_the_sources(tmp_path):
    dataset, table = ingested(
        tmp_path,
        {
            "score": [1, 2, 3],
            "rank": ["s", "t", "u"],
            "reason": [0.5, 1, 2],
            "decision": LABEL,
            "label": LABEL,
        },
    )
    assert dataset.feature_names == ("score", "reason")
    assert dataset.display_columns == ("source.score", "source.rank", "source.reason", "source.decision")
    assert table["source.rank"].to_pylist() == ["s", "t", "u"]


def test_columns_that_fit_into_no_cell_are_kept_but_not_shown(tmp_path):
    dataset, table = ingested(tmp_path, {"x": [1, 2, 3], "tags": [["p"], [], None], "label": LABEL})
    assert dataset.display_columns == ("x",)
    assert table["tags"].to_pylist() == [["p"], [], None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None, False]), [True, False, False]),
        (pa.array([1, 0, None]), [True, False, False]),
        (pa.array([1.0, 0.0, float("nan")]), [True, False, False]),
        (pa.array(["Yes", " no ", ""]), [True, False, False]),
        (pa.array(["TRUE", "false", "0"]), [True, False, False]),
    ],
)
def test_trusted_is_anything_that_means_true_or_false(values, expected, tmp_path):
    dataset, table = ingested(tmp_path, {"x": [1, 2, 3], "ok": values, "label": LABEL}, trusted="ok")
    assert dataset.trusted
    assert table["trusted"].to_pylist() == expected
    assert dataset.feature_names == ("x",)
    assert "ok" not in table.column_names


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_trusted_is_read_from_text_formats(name, tmp_path):
    path = tmp_path / name
    path.write_text(
        "x,ok,label\n1,1,a\n2,0,b\n"
        if name.endswith("csv")
        else '{"x":1,"ok":true,"label":"a"}\n{"x":2,"label":"b"}\n'
    )
    dataset = ingest(Source(uri=str(path), trusted="ok"), tmp_path / "run")
    assert pq.read_table(dataset.path)["trusted"].to_pylist() == [True, False]


# Embeddings


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2), pa.list_(pa.int64())],
)
def test_every_kind_of_list_is_an_embedding(kind, tmp_path):
    # Arrow cannot read back a missing value of a fixed-size list from Parquet.
    hole = [0, 0] if pa.types.is_fixed_size_list(kind) else None
    values = pa.array([[1, 2], hole, [3, 4]], kind)
    dataset, table = ingested(tmp_path, {"v": values, "label": LABEL}, embedding="v")
    assert (dataset.payload, dataset.feature_shape) == ("embedding", (2,))
    assert dataset.feature_names == ("v[0]", "v[1]")
    np.testing.assert_array_equal(
        features(table), np.array([[1, 2], hole or [np.nan] * 2, [3, 4]], np.float32)
    )
    assert table.column_names == ["sample_id", "label", "features", "content_hash", "source_row"]


def test_missing_numbers_in_an_embedding_are_nan(tmp_path):
    _, table = ingested(tmp_path, {"v": [[1.0, None], [2.0, 3.0], [4.0, 5.0]], "label": LABEL}, embedding="v")
    assert np.isnan(features(table)[0, 1])


def test_the_only_list_of_numbers_is_the_embedding_when_there_is_no_number(tmp_path):
    dataset, _ = ingested(tmp_path, {"v": [[1.0], [2.0], [3.0]], "note": ["p", "q", "r"], "label": LABEL})
    assert dataset.payload == "embedding"
    assert dataset.display_columns == ("note",)


def test_a_long_vector_comes_before_numbers_and_it_is_said(tmp_path):
    columns = {"n_tokens": [1, 2, 3], "v": [[float(row)] * 25 for row in range(3)], "label": LABEL}
    dataset, _ = ingested(tmp_path, columns)
    assert (dataset.payload, dataset.feature_shape) == ("embedding", (25,))
    assert (
        "only the vectors in 'v' are learned from, not the numbers beside them ('n_tokens')"
        in dataset.notes[0]
    )
    assert ingested(tmp_path, columns, features=("n_tokens",))[0].payload == "tabular"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[[1.0, 2.0]]] * 3), r"column 'v' holds list<.*save one list of numbers for each row"),
        (pa.array([b"RIFF\0\0\0\0WAVE"] * 3), "it is sound"),
    ],
)
def test_what_looks_like_a_vector_or_an_image_and_is_none_is_named(column, said, tmp_path):
    with pytest.raises(InputError, match=said):
        ingested(tmp_path, {"v": column, "label": LABEL})


def test_what_is_beside_the_only_text_and_not_learned_from_is_said(tmp_path):
    texts = [f"a long sentence about a thing that has the number {row} and no other" for row in range(120)]
    columns = {"review": texts, "author": ["ann", "bob", "eve"] * 40, "label": ["a", "b"] * 60}
    dataset = ingested(tmp_path, columns)[0]
    assert dataset.payload == "text"
    assert dataset.notes == (
        "only the text in 'review' is learned from, not 'author'; --text review --features author learns from both",
    )


def test_no_copy_of_the_label_beside_the_only_text_is_proposed(tmp_path):
    texts = [f"a long sentence about a thing that has the number {row} and no other" for row in range(120)]
    columns = {"review": texts, "author": ["ann", "bob", "eve"] * 40, "label": ["0", "1"] * 60}
    dataset = ingested(tmp_path, columns | {"label_text": ["bad", "good"] * 60})[0]
    assert dataset.leaks == {"label_text": "repeats the label in 100.0% of the rows"}
    assert dataset.notes == (
        "only the text in 'review' is learned from, not 'author'; --text review --features author learns from both",
    )


@pytest.mark.parametrize("words", ["배송도 빠르고 품질도 정말 좋아서 만족합니다", "อาหารอร่อยมากและราคาไม่แพง"])
def test_sentences_are_text_in_scripts_that_say_more_in_a_character(words, tmp_path):
    texts = [f"{words} {row}" for row in range(120)]
    assert ingested(tmp_path, {"review": texts, "label": ["a", "b"] * 60})[0].payload == "text"


def test_numbers_come_before_a_short_list_unless_it_is_named(tmp_path):
    columns = {"x": [1, 2, 3], "v": [[1.0], [2.0], [3.0]], "label": LABEL}
    assert ingested(tmp_path, columns)[0].payload == "tabular"
    dataset, table = ingested(tmp_path, columns, embedding="v")
    assert dataset.payload == "embedding"
    assert dataset.display_columns == ("x",)
    assert "v" not in table.column_names


def test_an_ingested_file_can_be_ingested_again(tmp_path):
    first, table = ingested(tmp_path, {"v": [[1.0], [2.0], [3.0]], "label": LABEL})
    again = ingest(Source(uri=str(first.path), id="sample_id"), tmp_path / "again")
    assert again.payload == "embedding"
    np.testing.assert_array_equal(features(pq.read_table(again.path)), features(table))
    assert again.digest == first.digest


# Synthetic data


def synthetic_table(text: str) -> pa.Table:
    table = pa.table({"x0": [1.0, 2.0, 3.0], "x1": [1.0, 2.0, 3.0], "label": LABEL})
    return table.replace_schema_metadata({"labelsweep.synthetic": text})


def test_how_synthetic_data_were_drawn_is_in_the_record_and_survives(tmp_path):
    drawn = Synthetic(mean_0=(0, 0), mean_1=(1, 1), sigma=0.2)
    dataset, table = ingested(tmp_path, synthetic_table(drawn.model_dump_json()))
    assert dataset.synthetic == drawn
    assert json.loads(table.schema.metadata[b"labelsweep.synthetic"]) == json.loads(drawn.model_dump_json())


def test_how_data_were_drawn_is_not_claimed_for_other_features(tmp_path):
    drawn = Synthetic(mean_0=(0, 0), mean_1=(1, 1), sigma=0.2).model_dump_json()
    assert ingested(tmp_path, synthetic_table(drawn), features=("x0",))[0].synthetic is None
    for broken in ("{", "[]", '{"sigma": 1}'):
        assert ingested(tmp_path, synthetic_table(broken))[0].synthetic is None


def test_choices_made_unasked_are_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="labelsweep.ingest"):
        ingested(tmp_path, {"x": [1, 2, 3], "city": ["p", "q", "r"], "true_label": LABEL, "label": LABEL})
    assert "shown to the reviewer only: 'city'" in caplog.text
    assert "--truth true_label" in caplog.text
