"""The round trip through Label Studio, judged by Label Studio's own validation."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from flows.cli import run as labelsweep
from tasks.errors import InputError
from tasks.review.exchange.label_studio import export_tasks, import_label_studio
from tasks.review.log import read_log
from tasks.review.queue import load_queue

# Columns that Label Studio's own exports add, and the names of our controls: as keys of `data` they would be lost.
TAKEN = {
    "id",
    "annotator",
    "annotation_id",
    "created_at",
    "updated_at",
    "lead_time",
    "label",
    "verdict",
    "comment",
    "sample",
}


def exported(run: Path, folder: Path, **options: Any) -> tuple[LabelInterface, list[dict[str, Any]]]:
    config, tasks = export_tasks(run, folder, **options)
    return LabelInterface(config.read_text(encoding="utf-8")), json.loads(tasks.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["digits-run", "wine-run", "notes-run"])
def test_label_studio_accepts_the_config_the_tasks_and_the_predictions(out: Path, tmp_path: Path, name: str):
    interface, tasks = exported(out / "runs" / name, tmp_path)
    interface.validate()
    assert len(tasks) == len(load_queue(out / "runs" / name).items)
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []
        assert prediction["model_version"] == f"labelsweep {name}"
        assert 0 <= prediction["score"] <= 1
        assert task["data"].keys() >= {"sample_id", "given_label"}
        assert not task["data"].keys() & TAKEN


def test_its_validation_does_refuse_what_is_wrong(digits: Path, tmp_path: Path):
    interface, (task, *_) = exported(digits, tmp_path)
    task["predictions"][0]["result"][0]["value"]["choices"] = ["a dog"]
    assert interface.validate_prediction(task["predictions"][0], return_errors=True)
    del task["data"]["image"]
    assert not interface.validate_task({"data": task["data"]})


def test_a_picture_is_in_the_task_or_at_an_address(digits: Path, tmp_path: Path):
    _, (inside, *_) = exported(digits, tmp_path / "inside")
    start = "data:image/png;base64,"
    assert inside["data"]["image"].startswith(start)
    picture = base64.b64decode(inside["data"]["image"].removeprefix(start))
    _, (served, *_) = exported(digits, tmp_path / "served", image_root="http://127.0.0.1:9000/pictures/")
    assert served["data"]["image"] == "http://127.0.0.1:9000/pictures/000000.png"
    assert (tmp_path / "served" / "images" / "000000.png").read_bytes() == picture


def test_a_row_of_a_table_is_a_table_and_a_text_is_a_text(wine: Path, notes: Path, tmp_path: Path):
    interface, (task, *_) = exported(wine, tmp_path / "wine")
    assert [tag.tag for tag in interface.objects] == ["Table"]
    assert task["data"]["row"].keys() == set(load_queue(wine).columns)
    interface, (task, *_) = exported(notes, tmp_path / "notes")
    assert [tag.tag for tag in interface.objects] == ["Text"]
    assert isinstance(task["data"]["text"], str)


# --- and back ---


def choice(name: str, value: str, **more: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "sample", "type": "choices", "value": {"choices": [value]}, **more}


def annotation(*result: dict[str, Any], by: object = 3, **more: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "completed_by": by,
        "result": list(result),
        "was_cancelled": False,
        "lead_time": 4.2,
        "created_at": "2026-01-02T03:04:05.000000Z",
        "updated_at": "2026-01-02T03:04:06.000000Z",
        **more,
    }


@pytest.fixture
def back(digits: Path, out: Path, tmp_path: Path) -> Callable[..., str]:
    """Annotate the first tasks as given, export as Label Studio does, import; return what the import says."""

    def annotated(*per_task: list[dict[str, Any]]) -> str:
        _, tasks = exported(digits, tmp_path / "tasks")
        for number, task in enumerate(tasks, start=1):
            task |= {"id": number, "annotations": per_task[number - 1] if number <= len(per_task) else []}
        file = tmp_path / "export.json"
        file.write_text(json.dumps(tasks), encoding="utf-8")
        return str(import_label_studio(file, digits, out))

    return annotated


def test_every_kind_of_answer_comes_back(back: Callable[..., str], digits: Path, out: Path):
    items = load_queue(digits).items
    comment = {"from_name": "comment", "to_name": "sample", "type": "textarea", "value": {"text": ["a", "b"]}}
    said = back(
        [annotation(choice("label", items[0].given))],
        [annotation(choice("label", items[1].suggested, origin="prediction"), comment)],
        [
            annotation(
                choice("label", "3", origin="prediction-changed"), by={"id": 5, "email": "bo@example.org"}
            )
        ],
        [annotation(choice("verdict", "drop"))],
        [annotation(choice("verdict", "unsure"))],
        [annotation(choice("label", "3"), was_cancelled=True)],
        [annotation()],
    )
    rows = read_log(out)
    assert said == "5 decisions imported, 2 rows without a decision"
    assert [row.outcome for row in rows[:2]] == [f"label:{items[0].given}", f"label:{items[1].suggested}"]
    assert [row.outcome for row in rows[2:]] == ["label:3", "drop", "unsure"]
    assert [row.sample_id for row in rows] == [item.sample_id for item in items[:5]]
    assert rows[1].comment == "a\nb"
    assert [rows[0].reviewer, rows[2].reviewer] == ["label-studio 3", "bo@example.org"]
    assert {(row.origin, row.seconds, row.run) for row in rows} == {("label-studio", 4.2, digits.name)}


def test_a_verdict_beats_the_suggestion_that_label_studio_chose_in_advance(
    back: Callable[..., str], out: Path
):
    back([annotation(choice("label", "3", origin="prediction"), choice("verdict", "drop", origin="manual"))])
    assert [row.outcome for row in read_log(out)] == ["drop"]


def test_several_annotators_of_one_task_all_stand_and_the_last_of_one_counts(
    back: Callable[..., str], out: Path
):
    back(
        [
            annotation(choice("label", "2"), by=2, updated_at="2026-01-02T09:00:00Z"),
            annotation(choice("label", "1"), by=2, updated_at="2026-01-02T08:00:00Z"),
            annotation(choice("verdict", "drop"), by=9),
        ]
    )
    assert {row.reviewer: row.outcome for row in read_log(out)} == {
        "label-studio 2": "label:2",
        "label-studio 9": "drop",
    }


def test_predictions_that_nobody_confirmed_are_no_decisions(back: Callable[..., str], out: Path):
    assert back() == "0 decisions imported"
    assert read_log(out) == []


def test_importing_again_writes_nothing_new(back: Callable[..., str], out: Path):
    answers = [annotation(choice("label", "3"))], [annotation(choice("verdict", "drop"))]
    assert back(*answers) == "2 decisions imported"
    assert back(*answers) == "0 decisions imported, 2 known before"
    assert len(read_log(out)) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([choice("label", "a dog")], "task 2: no class 'a dog' in this data set"),
        (
            [choice("label", "3"), choice("verdict", "drop")],
            "task 2: a label and a verdict contradict each other",
        ),
        (
            [choice("label", "3", origin="prediction-changed"), choice("verdict", "unsure")],
            "task 2: a label and a verdict contradict each other",
        ),
        ([choice("other", "3")], "task 2: neither a label nor a verdict"),
        (
            [{"from_name": "label", "value": {"choices": ["1", "2"]}}],
            "task 2: label has 2 values, one is allowed",
        ),
    ],
)
def test_one_wrong_annotation_and_nothing_is_imported(
    back: Callable[..., str], out: Path, wrong: list[dict[str, Any]], says: str
):
    with pytest.raises(InputError, match=f"1 row is wrong, nothing was imported: {says}"):
        back([annotation(choice("label", "3"))], [annotation(*wrong)])
    assert read_log(out) == []


UNKNOWN = [{"data": {"sample_id": "nobody"}, "annotations": [{"result": [choice("verdict", "drop")]}]}]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[{", "not JSON"),
        ('{"tasks": []}', "not a list of tasks"),
        ('[{"sample_id": "a", "label": "3"}]', 'tasks without annotations; export as "JSON", not "JSON-MIN"'),
        ('[{"id": 4, "data": {}, "annotations": [{"result": [1]}]}]', "task 4 has no sample_id"),
        ('[{"data": 5, "annotations": []}]', "task 1 has no sample_id"),
        *(
            (
                json.dumps([{"data": {"sample_id": "a"}, "annotations": each}]),
                "of task 1 are not as Label Studio",
            )
            for each in (None, [5], [{"result": 5}], [{"result": [5]}], [{"result": [{"value": 5}]}])
        ),
        (
            '[{"data": {"sample_id": "a"}, "annotations": [{"result": [{"from_name": ["label"], "value": null}]}]}]',
            "task 1: neither a label nor a verdict",
        ),
        (json.dumps(UNKNOWN), "task 1: no sample 'nobody' in this run"),
    ],
)
def test_another_file_is_refused_in_one_line(
    digits: Path, out: Path, tmp_path: Path, capsys, content: str, says: str
):
    file = tmp_path / "export.json"
    file.write_text(content, encoding="utf-8")
    arguments = ["import", str(file), "--from", "label-studio", "--run", digits.name, "--out", str(out)]
    assert labelsweep(arguments) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert says in printed.err


def test_a_sample_that_changed_since_the_export_is_refused(digits: Path, out: Path, tmp_path: Path):
    _, tasks = exported(digits, tmp_path)
    for task in tasks:
        task["annotations"] = []
    tasks[0]["annotations"] = [annotation(choice("label", "3"))]
    tasks[0]["data"]["content_hash"] = "0" * 64
    file = tmp_path / "export.json"
    file.write_text(json.dumps(tasks))
    with pytest.raises(InputError, match="is not the one that was decided on"):
        import_label_studio(file, digits, out)
    assert read_log(out) == []


def test_the_commands_make_the_round_trip(digits: Path, out: Path, tmp_path: Path, capsys):
    folder = tmp_path / "to"
    run = ["--out", str(out)]
    assert labelsweep(["export", digits.name, "--to", "label-studio", "-o", str(folder), *run]) == 0
    assert str(folder / "tasks.json") in capsys.readouterr().out
    tasks = json.loads((folder / "tasks.json").read_text())
    for number, task in enumerate(tasks):
        task["annotations"] = [annotation(choice("verdict", "drop"))] if number < 2 else []
    (tmp_path / "from.json").write_text(json.dumps(tasks))
    source = ["import", str(tmp_path / "from.json"), "--from", "label-studio", "--run", digits.name]
    assert labelsweep([*source, *run]) == 0
    assert capsys.readouterr().out == "2 decisions imported\n"
