"""Layouts of images that have no one class for each image: boxes, masks, several labels. They are refused by name."""

import re
from collections.abc import Iterator, Sequence

from tasks.errors import InputError
from tasks.ingest.folder import Folder
from tasks.ingest.images.layout import find_classes_in_names, infer_layout

# A class number and a box or polygon, as YOLO writes them.
_BOX = re.compile(rb"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*", re.IGNORECASE)
# Empty files stand for images without boxes; among twenty, one has some.
_LOOKED_AT = 20
# A COCO file begins with its notes and images; 64 KiB hold their names.
_HEAD = 2**16
_COCO = (b'"annotations"', b'"categories"', b'"info"', b'"licenses"')
_EXPORT = (
    "labelsweep needs one class for each image: export it for classification (one folder for each class), "
    "or crop the boxes into such folders"
)
_OTHER_EXPORT = (
    "export it as 'Folder Structure', or write a metadata.csv with the columns file_name and label"
)
_ONE_CLASS = "labelsweep needs one class for each image: put each image into a folder named after its class"


def find_unsupported_layout(folder: Folder) -> InputError | None:
    """Return the error that names the layout; None for a layout that is read."""
    files = [folder.relative(part) for part in folder.images]
    beside = [*folder.others, *(folder.relative(part) for part in folder.data)]
    named = bool(find_classes_in_names(files))  # then that is the better advice
    masks = infer_layout(files).masks
    found = None
    if what := next(_find_box_formats(folder, files, beside, named=named), ""):
        found = f"an object-detection data set ({what})", _EXPORT
    elif any(name.endswith("_classes.csv") for name in beside):
        found = "Roboflow's export of several labels for each image (_classes.csv)", _OTHER_EXPORT
    elif masks and not named:
        found = f"a segmentation data set (masks in '{masks[0]}')", _ONE_CLASS
    return folder.base.problem(f"this is {found[0]}, no folder of classes", fix=found[1]) if found else None


def _find_box_formats(
    folder: Folder, files: Sequence[str], beside: Sequence[str], *, named: bool
) -> Iterator[str]:
    """Yield the formats in which boxes are beside the images."""
    lower = [name.lower() for name in beside]
    documents = [name for name in beside if name.lower().endswith(".json")]
    if _are_yolo([_read_head(folder, name) for name in _list_notes(files, beside, ".txt", _LOOKED_AT)]):
        yield "YOLO: text files with boxes"
    if any(name.endswith("coco.json") for name in lower) or any(
        b'"images"' in head and any(key in head for key in _COCO)
        for head in (_read_head(folder, name) for name in documents)
    ):
        yield "COCO: boxes in a JSON file"
    if any(name.endswith("_annotations.createml.json") for name in lower):
        yield "CreateML: boxes in a JSON file"
    if any(
        b'"shapes"' in head and b'"imagePath"' in head
        for head in (_read_head(folder, name) for name in _list_notes(files, beside, ".json", 1))
    ):
        yield "LabelMe: shapes in JSON files"
    if any(name.endswith("_annotations.csv") for name in lower):
        yield "boxes in _annotations.csv"
    stems = {_take_stem(file) for file in files}
    if not named and any(
        _take_stem(name) in stems or _are_cvat(_read_head(folder, name))
        for name in beside
        if name.lower().endswith(".xml")
    ):
        yield "VOC or CVAT: boxes in XML files"


def _are_yolo(texts: Sequence[bytes]) -> bool:
    """Return whether notes on images are boxes; empty ones are where each of many is."""
    first = next((text for text in texts if text.strip()), None)
    if first is None:
        return len(texts) == _LOOKED_AT
    return all(_BOX.fullmatch(line) for line in first.splitlines()[:3] if line.strip())


def _are_cvat(head: bytes) -> bool:
    return b"<annotations>" in head and b"<image" in head


def _list_notes(files: Sequence[str], beside: Sequence[str], suffix: str, most: int) -> Iterator[str]:
    """Yield the first notes on images: beside the image, or in `labels` where that is in `images`."""
    there = {name for name in beside if name.endswith(suffix)}
    for file in files if there else ():
        stem = file.rsplit(".", 1)[0]
        steps = stem.split("/")
        inside = [place for place, step in enumerate(steps) if step.lower() == "images"]
        other = ("/".join([*steps[:place], "labels", *steps[place + 1 :]]) for place in inside)
        if note := next((name + suffix for name in (stem, *other) if name + suffix in there), None):
            yield note
            most -= 1
        if not most:
            return


def _take_stem(file: str) -> str:
    return file.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _read_head(folder: Folder, name: str) -> bytes:
    """Return the first bytes of a file of the folder; a file that cannot be read says nothing."""
    try:
        with folder.base.filesystem.open(folder.base.path + name, "rb") as file:
            return bytes(file.read(_HEAD))
    except OSError:
        return b""
