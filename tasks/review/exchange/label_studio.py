"""The round trip through Label Studio: labeling config and tasks out, its JSON export back in.

Two controls name what was decided: `label` holds one of the classes (the given one keeps the sample as it
is), `verdict` holds `drop` or `unsure`. The keys of a task's data are none of the names that Label Studio's
exports give to columns of their own.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET  # only for writing

from tasks.errors import InputError
from tasks.review.exchange.incoming import Imported, Incoming, import_decisions, refuse_import
from tasks.review.page.chooser import list_choices
from tasks.review.page.payload import format_value
from tasks.review.queue import Item, ReviewQueue, load_queue
from tasks.runs.finished import read_dataset
from tasks.show.images import write_safe_png
from tasks.storage import open_atomically, read_parquet, write_json, write_text
from tasks.terminal import write_one_line

LABEL: Final = "label"
VERDICT: Final = "verdict"
COMMENT: Final = "comment"
SAMPLE: Final = "sample"
_DATA_KEY: Final = {"image": "image", "text": "text", "table": "row"}


def write_labeling_config(queue: ReviewQueue) -> str:
    """Return the labeling config for a run as XML."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="$question", size="5")
    # Above the sample, which may be longer than the screen.
    classes = ET.SubElement(view, "Choices", name=LABEL, toName=SAMPLE, choice="single", showInLine="true")
    for choice in list_choices(queue):
        attributes = {"value": write_one_line(choice.label)} | ({"hotkey": choice.key} if choice.key else {})
        ET.SubElement(classes, "Choice", attributes)
    verdicts = ET.SubElement(view, "Choices", name=VERDICT, toName=SAMPLE, choice="single", showInLine="true")
    for verdict in ("drop", "unsure"):
        ET.SubElement(verdicts, "Choice", value=verdict, hotkey=verdict[0])
    tag = {"image": "Image", "text": "Text", "table": "Table"}[queue.content]
    ET.SubElement(view, tag, name=SAMPLE, value=f"${_DATA_KEY[queue.content]}")
    ET.SubElement(
        view, "TextArea", name=COMMENT, toName=SAMPLE, placeholder="comment", rows="1", maxSubmissions="1"
    )
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def export_tasks(run: Path, folder: Path, *, image_root: str | None = None) -> tuple[Path, Path]:
    """Write `config.xml` and `tasks.json` for the queue of a run.

    Args:
        image_root: Address under which Label Studio serves the pictures; they are written to `folder/images`
            then. None puts them into the tasks as data URIs.

    Returns:
        The config and the tasks.
    """
    queue = load_queue(run)
    _name_classes(queue.classes)
    config = write_text(write_labeling_config(queue), folder / "config.xml")
    payload = _read_payload(queue)
    tasks = []
    for item in queue.items:
        shown = payload[item.sample_id]
        if queue.content == "image":
            shown = _write_picture(shown, folder, item.position, image_root)
        tasks.append(_make_task(queue, item, shown))
    return config, write_json(tasks, folder / "tasks.json")


def _name_classes(labels: Sequence[str]) -> dict[str, str]:
    """Return each label by its name in Label Studio: XML cannot hold control characters, so they become visible marks.

    Raises:
        InputError: Two labels would have one name.
    """
    named = {write_one_line(label): label for label in labels}
    if len(named) < len(set(labels)):
        two = next(label for label in labels if named[write_one_line(label)] != label)
        what = f"label {two!r} and another differ in control characters only, which Label Studio cannot hold"
        fix = "rename one of them, or review with `labelsweep review`"
        raise InputError(what, fix=fix)
    return named


def _make_task(queue: ReviewQueue, item: Item, shown: object) -> dict[str, Any]:
    chosen = {
        "id": item.check,  # ties an accepted or changed suggestion to this one
        "from_name": LABEL,
        "to_name": SAMPLE,
        "type": "choices",
        "value": {"choices": [write_one_line(item.suggested)]},
    }
    model = f"labelsweep {queue.run_id}"
    prediction = {"model_version": model, "score": item.suggested_probability, "result": [chosen]}
    return {
        "data": {
            "sample_id": item.sample_id,
            "given_label": item.given,
            "suggested_label": item.suggested,
            "content_hash": item.key.content_hash,
            "run": queue.run_id,
            "question": item.reason or f"Given label: {item.given}",
            _DATA_KEY[queue.content]: shown,
        },
        "predictions": [prediction],
    }


def _read_payload(queue: ReviewQueue) -> dict[str, Any]:
    columns = ["image"] if queue.content == "image" else [queue.prose] if queue.prose else list(queue.columns)
    rows = read_parquet(queue.run / "queue.parquet", columns=["sample_id", *columns]).to_pylist()
    if queue.content == "image":
        return {row["sample_id"]: row["image"] for row in rows}
    if queue.content == "text":
        return {row["sample_id"]: format_value(row[columns[0]]) for row in rows}
    return {row["sample_id"]: {name: format_value(row[name]) for name in columns} for row in rows}


def _write_picture(data: bytes | None, folder: Path, number: int, image_root: str | None) -> str:
    png = write_safe_png(data or b"") or b""
    if image_root is None:
        return f"data:image/png;base64,{base64.b64encode(png).decode()}"
    name = f"{number:06d}.png"
    with open_atomically(folder / "images" / name) as path:
        path.write_bytes(png)
    return f"{image_root.rstrip('/')}/{name}"


def import_label_studio(file: Path, run: Path, out: Path) -> Imported:
    """Import the JSON export of a Label Studio project.

    Each annotation is a decision of the person who completed it. Skipped and empty annotations carry none; the
    predictions that came from here are not decisions either, an accepted or changed one is.

    Args:
        file: The export, format "JSON".
        out: The output folder, where the log is.

    Raises:
        InputError: Not such an export, or at least one annotation is wrong; nothing was written.
    """
    incoming: list[Incoming] = []
    problems: list[str] = []
    empty = 0
    classes = _name_classes(read_dataset(run).offered)
    for where, data, annotation in _list_annotations(_read(file), file):
        if annotation.get("was_cancelled") or not annotation.get("result"):
            empty += 1
            continue
        try:
            incoming.append(_read_decision(where, data, annotation, classes))
        except ValueError as error:
            problems.append(f"{where}: {error}")
    refuse_import(problems, file.name)
    incoming.sort(key=lambda row: row.time)
    return import_decisions(run, out, incoming, origin="label-studio", source=file.name, empty=empty)


def _read(file: Path) -> list[dict[str, Any]]:
    where, fix = str(file), 'export the project as "JSON"'
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({error})", where=where, fix=fix) from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise InputError("not a list of tasks", where=where, fix=fix)
    if any("annotations" not in task or "data" not in task for task in tasks):
        raise InputError("tasks without annotations", where=where, fix='export as "JSON", not "JSON-MIN"')
    return tasks


def _list_annotations(
    tasks: Sequence[dict[str, Any]], file: Path
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for number, task in enumerate(tasks, start=1):
        name = f"task {task.get('id', number)}"
        if not isinstance(task["data"], dict) or "sample_id" not in task["data"]:
            what = f"{name} has no sample_id"
            raise InputError(what, where=str(file), fix="export what labelsweep exported")
        if not isinstance(task["annotations"], list) or not all(map(_is_annotation, task["annotations"])):
            what = f"the annotations of {name} are not as Label Studio writes them"
            raise InputError(what, where=str(file), fix='export the project as "JSON" again')
        for annotation in task["annotations"]:
            yield name, task["data"], annotation


def _is_annotation(found: object) -> bool:
    """Whether this is a record whose result, if it has one, is a list of records."""
    parts = (found.get("result") or []) if isinstance(found, dict) else None
    records = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
    return records and all(isinstance(part.get("value") or {}, dict) for part in parts or ())


def _read_decision(
    where: str, data: Mapping[str, Any], annotation: Mapping[str, Any], classes: Mapping[str, str]
) -> Incoming:
    found, untouched = {LABEL: "", VERDICT: "", COMMENT: ""}, False
    for part in annotation["result"]:
        name, value = str(part.get("from_name")), part.get("value") or {}
        values = value.get("choices") or value.get("text") or []
        values = values if isinstance(values, list) else [values]
        if name in found and values:
            if name != COMMENT and len(values) > 1:
                raise ValueError(f"{name} has {len(values)} values, one is allowed")
            found[name] = "\n".join(str(v) for v in values)
            untouched |= name == LABEL and part.get("origin") == "prediction"
    # A task starts with our suggestion chosen: a reviewer who drops the sample need not take it back.
    if found[VERDICT] and untouched:
        found[LABEL] = ""
    if bool(found[LABEL]) == bool(found[VERDICT]):
        both = "a label and a verdict contradict each other"
        raise ValueError(both if found[LABEL] else "neither a label nor a verdict")
    lead = annotation.get("lead_time")
    return Incoming(
        where=where,
        sample_id=str(data["sample_id"]),
        verdict=found[VERDICT] or "relabel",
        new_label=classes.get(found[LABEL], found[LABEL]),
        content_hash=str(data.get("content_hash", "")),
        given_label=str(data.get("given_label", "")),
        reviewer=_name_annotator(annotation.get("completed_by")),
        comment=found[COMMENT],
        seconds=float(lead) if isinstance(lead, int | float) and lead >= 0 else None,
        time=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
    )


def _name_annotator(completed_by: object) -> str:
    """Name the annotator, whom Label Studio gives as a number, a record, or not at all.

    >>> _name_annotator(3), _name_annotator({"id": 3, "email": "ada@example.org"}), _name_annotator(None)
    ('label-studio 3', 'ada@example.org', 'label-studio')
    """
    if isinstance(completed_by, Mapping):
        full = " ".join(str(completed_by.get(k) or "") for k in ("first_name", "last_name")).strip()
        return str(completed_by.get("email") or full or f"label-studio {completed_by.get('id', '')}").strip()
    return "label-studio" if completed_by is None else f"label-studio {completed_by}"
