"""Exports of Label Studio as a source: the choices of finished annotations are labels, several annotators are raters.

Both JSON exports are read. In "JSON" a task has its data and annotations; in "JSON-MIN" each annotation is a row, in which the
controls stand between `id` and `annotator`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import list_names
from tasks.ingest.source import Part

LABEL_NOTE, RATERS_NOTE = "labelsweep.label", "labelsweep.raters"
_CLASSES = ("choices", "rating")
# What is in a row of JSON-MIN beside data and controls.
_MIN = ("annotator", "annotation_id")


@dataclass(frozen=True)
class Export:
    """An export as a table.

    Attributes:
        rows: A row for each task with a finished annotation.
        metadata: Which columns are the label or the raters.
    """

    rows: list[dict[str, Any]]
    tasks: list[str]
    notes: tuple[str, ...]
    metadata: dict[str, str]

    def place(self, row: int) -> str:
        """Return how a person finds the row."""
        return f"task {self.tasks[row]}"


# Task, control, annotator and value.
Answer = tuple[str, str, str, Any]


def is_label_studio(item: object) -> bool:
    """Return whether an object is a task of a Label Studio export."""
    if not isinstance(item, dict):
        return False
    full = isinstance(item.get("annotations"), list) and isinstance(item.get("data"), dict)
    return full or (all(name in item for name in ("id", *_MIN)) and bool(_list_controls(item)))


def read_export(items: Sequence[Any], part: Part) -> Export:
    """Return the table of an export.

    Raises:
        InputError: Nothing in it is a choice, or it is not as Label Studio writes it.
    """
    kinds: Counter[str] = Counter()
    tasks: dict[str, dict[str, Any]] = {}
    answers: list[Answer] = []
    for place, item in enumerate(items, start=1):
        try:
            task = str(item.get("id", place))
            tasks[task] = _select_data(item)
            answers += _read_answers(item, task, kinds)
        except (AttributeError, KeyError, TypeError) as error:
            what = f"task {place} is not as Label Studio writes it"
            raise part.problem(what, fix='export as "JSON" again') from error
    if not answers:
        found = f" but {list_names(list(kinds))}" if kinds else ""
        raise part.problem(
            f"a Label Studio export without choices{found}",
            fix="only labels of whole samples are read: choices and ratings",
        )
    return _build_table(tasks, answers)


def _select_data(item: dict[str, Any]) -> dict[str, Any]:
    if "annotations" in item:
        return {"id": item["id"], **item["data"]} if "id" in item else dict(item["data"])
    aside = {*_list_controls(item), *_MIN, "created_at", "updated_at", "lead_time"}
    return {name: value for name, value in item.items() if name not in aside}


def _list_controls(item: dict[str, Any]) -> list[str]:
    names = list(item)
    return names[names.index("id") + 1 : names.index("annotator")]


def _read_answers(item: dict[str, Any], task: str, kinds: Counter[str]) -> Iterator[Answer]:
    if "annotations" not in item:
        for control in _list_controls(item):
            value = item[control]
            value = value.get("choices", value) if isinstance(value, dict) else value
            if isinstance(value, str | int | float) or _are_texts(value):
                yield task, control, str(item["annotator"]), _unwrap_single(value)
            else:
                kinds[control] += 1
        return
    for annotation in item["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        who = annotation.get("completed_by")
        who = who.get("email") or who.get("id") if isinstance(who, dict) else who
        for part in annotation.get("result") or []:
            kind = str(part.get("type"))
            kinds[kind] += 1
            value = (part.get("value") or {}).get(kind)
            if kind in _CLASSES and value not in (None, []):
                yield (
                    task,
                    str(part["from_name"]),
                    "annotator" if who is None else str(who),
                    _unwrap_single(value),
                )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _unwrap_single(value: Any) -> Any:  # noqa: ANN401 (a choice, or several)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _build_table(tasks: dict[str, dict[str, Any]], answers: list[Answer]) -> Export:
    """Return a row for each task that is finished: its data, then what was answered."""
    controls = list(dict.fromkeys(control for _, control, _, _ in answers))
    people = list(dict.fromkeys(person for _, _, person, _ in answers))
    label = controls[0] if len(controls) == 1 else "label" if "label" in controls else None
    given: dict[str, dict[tuple[str, str], Any]] = {}
    for task, control, person, value in answers:
        given.setdefault(task, {})[control, person] = value
    many = any(isinstance(value, list) for *_, value in answers)
    several = any(len({control for control, _ in found}) < len(found) for found in given.values())
    data_names = {name for data in tasks.values() for name in data}

    def column(control: str, person: str) -> str:
        named = f"annotator {person}" if len(controls) == 1 else f"{control}, annotator {person}"
        name = named if several else control
        return f"annotation.{name}" if name in data_names else name

    rows = {}
    for task, data in tasks.items():
        found = sorted(given.get(task, {}).items(), key=lambda answer: controls.index(answer[0][0]))
        if any(label in (None, control) for (control, _), _ in found):
            rows[task] = data | {
                column(*who): [value] if many and not isinstance(value, list) else value
                for who, value in found
            }
    notes, metadata = [], {}
    if without := len(tasks) - len(rows):
        notes.append(f"{without} of {len(tasks)} tasks have no finished annotation and are left out")
    if label and several:
        metadata[RATERS_NOTE] = json.dumps([column(label, person) for person in people])
        notes.append(f"Label Studio: '{label}' is the label, and its {len(people)} annotators are raters")
    elif label:
        metadata[LABEL_NOTE] = column(label, people[0])
    return Export(list(rows.values()), list(rows), tuple(notes), metadata)
