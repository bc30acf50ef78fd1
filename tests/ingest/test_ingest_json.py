"""JSON as programs write it is read for what it is; what holds no table is refused in one line."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.records import Dataset, Source

ROWS = 60


def records() -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    return [
        {"x": float(x), "y0": float(y), "label": "cat" if x > 0 else "dog"}
        for x, y in generator.normal(size=(ROWS, 2)).round(3)
    ]


def read(text: str | bytes, folder, name: str = "pets.json", **named: object) -> Dataset:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return ingest(Source(uri=str(folder / name), **named), folder / "run")


def labels_of(dataset: Dataset) -> list[str]:
    return pq.read_table(dataset.path)["label"].to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + json.dumps(records(), indent=2).encode(),
        "\n".join(json.dumps(row, indent=1) for row in records()),
        json.dumps({"version": 1, "data": records()}),
        json.dumps({name: [row[name] for row in records()] for name in records()[0]}),
        json.dumps([{**row, "long": "x" * 40_000} for row in records()]),  # longer than what is read at once
    ],
    ids=["with a byte order mark", "one after the other", "under a name", "lists", "long"],
)
def test_every_way_to_write_a_table_gives_its_rows(text, tmp_path):
    dataset = read(text, tmp_path)
    assert labels_of(dataset) == [row["label"] for row in records()]
    assert dataset.feature_names == ("x", "y0")


@pytest.mark.parametrize(
    "join", [json.dumps, lambda rows: "\n".join(map(json.dumps, rows))], ids=["array", "lines"]
)
def test_values_of_several_kinds_are_text_and_nan_is_missing(join, tmp_path):
    rows = records()
    odd = [3, "late", True, {"a": 1}, [1, "b"], math.nan]
    for number, row in enumerate(rows):
        row |= {"note": odd[number % 6], "spans": [[0, 4, "P"]], "seen": number % 7 == 0}
        row["label"] = number % 2 if number % 3 else str(number % 2)
    rows[5]["label"], rows[8]["seen"] = math.nan, math.nan
    dataset = read(join(rows), tmp_path)
    assert dataset.classes == ("0", "1")
    assert labels_of(dataset)[4:7] == ["0", None, "0"]
    assert [column.kind for column in dataset.columns if column.name == "seen"] == ["boolean"]
    kept = pq.read_table(dataset.path, columns=["note", "spans"]).to_pylist()[:6]
    assert [row["note"] for row in kept] == ["3", "late", "true", '{"a": 1}', '[1, "b"]', None]
    assert kept[0]["spans"] == '[[0, 4, "P"]]'
    assert [
        name for name in ("label", "note", "spans") if any(f"column '{name}'" in n for n in dataset.notes)
    ] == [
        "label",
        "note",
        "spans",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(records())[:-20], "the value at line 1 is not JSON"),
        (json.dumps(records(), indent=0).replace('"x"', "x", 1), "the value at line 2 is not JSON"),
        (json.dumps(records()) + "]", "more text follows the end of its array"),
        (json.dumps([*records(), 3]), "record 61 is not a JSON object"),
        (
            json.dumps([*records(), {**records()[0], "label": {"odd": 1}}]),
            "record 61, column 'label': an object where record 1",
        ),
        (json.dumps([[1, 2], [3, 4]]), "an array of arrays"),
        (
            json.dumps({"train": records(), "test": records()}),
            r"several lists of objects \('train', 'test'\)",
        ),
        (json.dumps(records()[0]), "holds one object, which is no table"),
        (json.dumps({"images": [], "annotations": [], "categories": []}), "a COCO file of object detection"),
        (
            json.dumps({"columns": ["a", "label"], "data": [[1, 2], [3]]}),
            "record 2: it does not have one value",
        ),
        ("[]", "holds no rows"),
        ("{}", "holds no rows"),
        ("3", "holds no list of objects"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(InputError, match=message) as refused:
        read(text, tmp_path)
    assert str(tmp_path / "pets.json") in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["pets.json", "pets.jsonl"])
def test_nested_objects_are_columns_and_learned_from_only_where_nothing_else_is(name, tmp_path):
    rows = [
        {"size": row["x"], "meta": {"kind": {"label": row["label"]}, "n": row["y0"]}} for row in records()
    ]
    lines = "\n".join(map(json.dumps, [*rows, {"size": 1.0, "meta": None}]))
    dataset = read(lines, tmp_path, name, label="meta.kind.label")
    assert labels_of(dataset) == [*(row["label"] for row in records()), None]
    assert dataset.feature_names == ("size",)
    assert dataset.left_out == {"meta.n": "part of an object"}
    alone = [{"label": row["label"], "features": {"x": row["x"], "y0": row["y0"]}} for row in records()]
    assert read("\n".join(map(json.dumps, alone)), tmp_path, name).feature_names == (
        "features.x",
        "features.y0",
    )


def test_what_lies_beside_the_label_in_one_object_is_learned_from(tmp_path):
    hits = [{"_id": f"k{n}", "_score": 1.0, "_source": row} for n, row in enumerate(records())]
    text = json.dumps({"took": 3, "hits": {"total": {"value": 60}, "hits": hits}})
    dataset = read(text, tmp_path, label="_source.label")
    assert {"_source.x", "_source.y0"} <= set(dataset.feature_names)
    assert "the list under 'hits.hits' is read" in dataset.notes


ARRAYS = [list(row.values()) for row in records()]
NAMES = list(records()[0])


@pytest.mark.parametrize(
    "document",
    [
        {"fields": [{"id": name, "type": "text"} for name in NAMES], "records": ARRAYS},
        {"meta": {"view": {"columns": [{"id": 1, "name": name} for name in NAMES]}}, "data": ARRAYS},
        {"range": "A1:C61", "values": [NAMES, *ARRAYS]},
        [NAMES, *ARRAYS],
        {f"-N{n}": row for n, row in enumerate(records())},
        {"help": "?", "success": True, "result": {"fields": [{"id": "x"}], "records": records()}},
    ],
    ids=["named beside", "named deep", "a header", "arrays", "by keys", "deep"],
)
def test_arrays_with_names_and_tables_within_a_document_are_read(document, tmp_path):
    dataset = read(json.dumps(document), tmp_path)
    assert labels_of(dataset) == [row["label"] for row in records()]
    assert dataset.feature_names == ("x", "y0")


TEXTS = [
    f"a review of {word} that is as long as those of people are {n}" for n in range(10) for word in "abcdef"
]


def argilla(text: str, label: str | None) -> dict[str, Any]:
    answers = {"mood": [{"value": label, "user_id": "u1"}]} if label else {}
    return {"id": text, "status": "done" if label else "open", "fields": {"text": text}, "responses": answers}


def labelbox(text: str, label: str | None) -> dict[str, Any]:
    classes = [{"name": "Mood", "radio_answer": {"value": label}}] if label else []
    labels = [{"kind": "Default", "annotations": {"objects": [], "classifications": classes}}]
    return {"data_row": {"row_data": text}, "projects": {"p1": {"labels": labels}}}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("write", "label"),
    [
        (argilla, "responses.mood.value"),
        (labelbox, "projects.p1.labels.annotations.classifications.radio_answer.value"),
        (lambda text, label: {"task": {"text": text}, "answer": {"mood": [[label]]}}, "answer.mood"),
    ],
)
def test_the_only_object_of_a_list_is_read_as_an_object(write, label, suffix, tmp_path):
    given = [None if n % 20 == 7 else "good" if n % 2 else "bad" for n in range(ROWS)]
    rows = [write(text, each) for text, each in zip(TEXTS, given, strict=True)]
    path = tmp_path / f"export{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(InputError, match=f"--label .*{label}"):
        ingest(Source(uri=str(path)), tmp_path / "run")
    dataset = ingest(Source(uri=str(path), label=label), tmp_path / "run")
    assert (dataset.payload, labels_of(dataset)) == ("text", given)


@pytest.mark.parametrize("name", ["pets.parquet", "pets.arrow"])
def test_objects_of_typed_files_are_columns_too(name, tmp_path):
    rows = [
        {"vitals": {"x": row["x"], "more": {"y": row["y0"]}} if n else None, "label": row["label"]}
        for n, row in enumerate(records())
    ]
    table = pa.Table.from_pylist(rows)
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name)
    else:
        feather.write_feather(table, tmp_path / name)
    dataset = ingest(Source(uri=str(tmp_path / name)), tmp_path / "run")
    assert dataset.feature_names == ("vitals.x", "vitals.more.y")
    found = np.array(pq.read_table(dataset.path)["features"].to_pylist())
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:, 1], [row["y0"] for row in records()[1:]], rtol=1e-6)


def test_values_of_mongodb_with_their_types_are_values(tmp_path):
    rows = [
        {
            "_id": {"$oid": f"{n:024x}"},
            "n": {"$numberLong": str(n * 7 % 30)},
            "at": {"$date": f"2024-01-{1 + n % 28:02}T00:00:00Z"},
        }
        | {"label": row["label"]}
        for n, row in enumerate(records())
    ]
    dataset = read("\n".join(map(json.dumps, rows)), tmp_path)
    assert [(column.name, column.kind) for column in dataset.columns] == [("n", "number"), ("at", "date")]


def test_lists_of_one_label_are_labels_and_lists_of_more_are_refused(tmp_path):
    rows = [{**row, "label": [row["label"]] if place else []} for place, row in enumerate(records())]
    assert labels_of(read(json.dumps(rows), tmp_path)) == [None, *(row["label"] for row in records()[1:])]
    with pytest.raises(InputError, match="multi-label data are not supported"):
        read(json.dumps([*rows, {**rows[0], "label": ["cat", "dog"]}]), tmp_path)


def annotation(who: object, choice: object, **other: object) -> dict[str, Any]:
    value = {"choices": choice if isinstance(choice, list) else [choice]}
    part = {"from_name": "animal", "to_name": "text", "type": "choices", "value": value}
    return {"completed_by": who, "was_cancelled": False, "result": [part], **other}


def tasks(*people: object) -> list[dict[str, Any]]:
    return [
        {
            "id": 100 + place,
            "data": {"x": row["x"], "y0": row["y0"]},
            "annotations": [annotation(who, row["label"]) for who in people],
        }
        for place, row in enumerate(records())
    ]


def test_a_label_studio_export_is_read_by_its_finished_annotations(tmp_path):
    export = tasks(1)
    export[0]["annotations"] = []
    export[1]["annotations"] = [annotation(1, "cat", was_cancelled=True)]
    dataset = read(json.dumps(export), tmp_path)
    assert labels_of(dataset) == [row["label"] for row in records()[2:]]
    assert dataset.label_column == "animal"
    assert pq.read_table(dataset.path)["sample_id"][0].as_py() == "102"
    assert dataset.notes[0] == "2 of 60 tasks have no finished annotation and are left out"


def test_several_annotators_are_raters(tmp_path):
    export = tasks(1, {"id": 7, "email": "bob@x.org"}, 3)
    export[0]["annotations"][1] = annotation({"id": 7, "email": "bob@x.org"}, "bird")
    dataset = read(json.dumps(export), tmp_path)
    assert dataset.raters == ("annotator 1", "annotator bob@x.org", "annotator 3")
    assert labels_of(dataset) == [row["label"] for row in records()]
    assert pq.read_table(dataset.path)["trusted"].to_pylist() == [False, *[True] * (ROWS - 1)]


@pytest.mark.parametrize("people", [(1,), (1, 2)])
def test_the_smaller_export_is_read_too(people, tmp_path):
    rows = [
        {**task["data"], "id": task["id"], "animal": row["label"], "annotator": who, "annotation_id": 1}
        for task, row in zip(tasks(), records(), strict=True)
        for who in people
    ]
    dataset = read(json.dumps(rows), tmp_path)
    assert labels_of(dataset) == [row["label"] for row in records()]
    assert len(dataset.raters) == (2 if len(people) == 2 else 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"type": "rectanglelabels", "value": {"rectanglelabels": ["cat"]}},
            "without choices but 'rectanglelabels'",
        ),
        ({"value": {"choices": ["cat", "dog"]}}, "multi-label data are not supported"),
    ],
)
def test_an_export_without_one_choice_a_sample_is_refused(change, message, tmp_path):
    export = tasks(1)
    for task in export:
        task["annotations"][0]["result"][0].update(change)
    with pytest.raises(InputError, match=message):
        read(json.dumps(export), tmp_path)
