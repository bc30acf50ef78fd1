"""Layouts of images that have no one class for each image: boxes, masks, several labels. They are refused by name."""

import re
from collections.abc import Callable, Iterator

from tasks.errors import InputError
from tasks.ingest.folder import Folder
from tasks.ingest.images.layout import classes_in_names, infer_layout

# A class number and a box or polygon, as YOLO writes them.
_BOX = re.compile(rb"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*", re.IGNORECASE)
# Empty files stand for images without boxes; among twenty, one has some.
_LOOKED_AT = 20
# A COCO file begins with its notes and images; 64 KiB hold their names.
_HEAD = 2**16
_EXPORT = (
    "labelsweep needs one class for each image: export it for classification (one folder for each class), "
    "or crop the boxes into such folders"
)
_OTHER_EXPORT = (
    "export it as 'Folder Structure', or write a metadata.csv with the columns file_name and label"
)
_ONE_CLASS = "labelsweep needs one class for each image: put each image into a folder named after its class"


def unsupported_layout(folder: Folder) -> InputError | None:
    """Return the error that names the layout; None where it is none of those."""
    files = [folder.relative(part) for part in folder.images]
    beside = [*folder.others, *(folder.relative(part) for part in folder.data)]
    named = classes_in_names(files)  # then that is the better advice
    masks = infer_layout(files).masks
    found = None
    if what := _boxes(folder, files, beside, named=bool(named)):
        found = f"an object-detection data set ({what})", _EXPORT
    elif any(name.endswith("_classes.csv") for name in beside):
        found = "Roboflow's export of several labels for each image (_classes.csv)", _OTHER_EXPORT
    elif masks and not named:
        found = f"a segmentation data set (masks in '{masks[0]}')", _ONE_CLASS
    return folder.base.problem(f"this is {found[0]}, no folder of classes", fix=found[1]) if found else None


def _boxes(folder: Folder, files: list[str], beside: list[str], *, named: bool) -> str:
    """Return the format in which boxes are beside the images; empty where there are none."""
    lower = [name.lower() for name in beside]
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("YOLO: text files with boxes", lambda: _has_boxes_in_text(folder, files, beside)),
        ("COCO: boxes in a JSON file", lambda: _has_coco(folder, beside)),
        (
            "CreateML: boxes in a JSON file",
            lambda: any(name.endswith("_annotations.createml.json") for name in lower),
        ),
        ("LabelMe: shapes in JSON files", lambda: _has_labelme(folder, files, beside)),
        ("boxes in _annotations.csv", lambda: any(name.endswith("_annotations.csv") for name in lower)),
        ("VOC or CVAT: boxes in XML files", lambda: not named and _has_boxes_in_xml(folder, files, beside)),
    )
    return next((what for what, holds in checks if holds()), "")


def _has_boxes_in_text(folder: Folder, files: list[str], beside: list[str]) -> bool:
    texts = {name for name in beside if name.endswith(".txt")}
    looked_at = 0
    for file in files:
        text = next((name for name in _beside(file, ".txt") if name in texts), None)
        if text is None:
            continue
        head = _head(folder, text)
        if head.strip():
            return all(_BOX.fullmatch(line) for line in head[:_HEAD].splitlines()[:3] if line.strip())
        looked_at += 1
        if looked_at == _LOOKED_AT:
            return True
    return False


def _beside(file: str, suffix: str) -> Iterator[str]:
    """Yield where the notes of an image are: beside it, or in `labels` where it is in `images`."""
    stem = file.rsplit(".", 1)[0]
    yield stem + suffix
    steps = stem.split("/")
    for place, step in enumerate(steps):
        if step.lower() == "images":
            yield "/".join([*steps[:place], "labels", *steps[place + 1 :]]) + suffix


def _has_coco(folder: Folder, beside: list[str]) -> bool:
    keys = (b'"annotations"', b'"categories"', b'"info"', b'"licenses"')
    for name in beside:
        if name.lower().endswith(".json"):
            head = _head(folder, name)
            named = name.lower().endswith("coco.json")
            if named or (b'"images"' in head and any(key in head for key in keys)):
                return True
    return False


def _has_labelme(folder: Folder, files: list[str], beside: list[str]) -> bool:
    notes = {name for name in beside if name.endswith(".json")}
    name = next((name for file in files for name in _beside(file, ".json") if name in notes), None)
    head = _head(folder, name) if name else b""
    return b'"shapes"' in head and b'"imagePath"' in head


def _has_boxes_in_xml(folder: Folder, files: list[str], beside: list[str]) -> bool:
    stems = {file.rsplit("/", 1)[-1].rsplit(".", 1)[0] for file in files}
    for name in beside:
        if name.lower().endswith(".xml"):
            if name.rsplit("/", 1)[-1][: -len(".xml")] in stems:
                return True
            head = _head(folder, name)
            if b"<annotations>" in head and b"<image" in head:
                return True
    return False


def _head(folder: Folder, name: str) -> bytes:
    """Return the first bytes of a file of the folder; a file that cannot be read says nothing."""
    try:
        with folder.base.filesystem.open(folder.base.path + name, "rb") as file:
            return bytes(file.read(_HEAD))
    except OSError:
        return b""
