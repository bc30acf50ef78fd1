"""What the sub-folders of a folder of images or texts mean: classes, splits such as train and test, or neither."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import median

from tasks.errors import name_first_three

# How people and the datasets library name the parts of a data set.
_SPLITS = frozenset(
    {"train", "training", "trainset", "trainval", "val", "valid", "validation", "valset", "dev"}
    | {"test", "testing", "testset", "eval", "evaluation", "holdout", "unlabeled", "unlabelled"}
)
# What may stand beside that in the name; `trainA` is CycleGAN's, `seg_train` Intel's.
_BESIDE_SPLITS = frozenset({"set", "data", "dataset", "images", "image", "imgs", "split", "seg", "a", "b"})
# Folders of the same images in another look, as in PlantVillage, and folds: no classes where each holds the same folders.
_VARIANT = re.compile(
    r"(color|colour|rgb|gr[ae]y(scale)?|segmented|originals?|augmented|raw|processed|cropped|resized"
    r"|(fold|part|batch)[ _-]?\d+)",
    re.IGNORECASE,
)
# Folders that say what kind of files they hold. Only where no other folder is beside them are they no classes.
_IMAGES = frozenset({"images", "image", "imgs", "img", "pictures", "pics", "jpegimages", "data"})
_MASKS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "annotation", "groundtruth", "ground truth", "gt"}
    | {"segmentationclass", "segmentationobject", "segmentation"}
)
# Folders beside those of classes for what has none: of CVAT and Datumaro, and of the Large Movie Review Dataset.
_NO_LABEL = frozenset({"no_label", "unsup"})
# How files of one text each end, those of 20 Newsgroups without a suffix; with fewer, a folder may hold tables.
_TEXTS, _LEAST_TEXTS, _LEAST_OF_CLASS = (".txt", ".text", ""), 20, 5
# A prefix that five images share is no accident of one name.
_SHARED = 5
# A few odd names do not change what the others say.
_MOST = 0.9


@dataclass(frozen=True)
class ImagePlace:
    """What the folders say of one image."""

    label: str | None = None
    split: str | None = None


@dataclass
class FolderLayout:
    """What the folders say of all images.

    Attributes:
        places: What they say of each file, in the order of the files.
        masks: Folders of images that are no samples.
        alike: Sub-folders that every class has alike, which may be the real classes.
    """

    places: dict[str, ImagePlace] = field(default_factory=dict)
    masks: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    @property
    def labeled(self) -> list[str]:
        """The images in a class folder."""
        return [file for file, place in self.places.items() if place.label is not None]

    @property
    def outside(self) -> list[str]:
        """The images in no class folder."""
        return [file for file, place in self.places.items() if place.label is None]

    @property
    def splits(self) -> list[str]:
        """The splits, in the order of their names."""
        return sorted({place.split for place in self.places.values() if place.split})


def infer_layout(files: Sequence[str]) -> FolderLayout:
    """Return what the folders of some images mean.

    >>> layout = infer_layout(["train/cat/1.png", "train/dog/2.png", "test/cat/3.png"])
    >>> layout.places["test/cat/3.png"]
    ImagePlace(label='cat', split='test')
    >>> infer_layout(["car/1.png", "train/2.png"]).places["train/2.png"]
    ImagePlace(label='train', split=None)
    """
    layout = FolderLayout({file: ImagePlace() for file in files})
    _place(layout, [tuple(file.split("/")) for file in files], 0, None)
    return layout


def find_text_files(files: Sequence[str]) -> list[str]:
    """Return the files of one text each in the folders of at least two classes; none where there is another layout.

    >>> files = [f"{kind}/{n}.txt" for kind in ("ham", "spam") for n in range(10)]
    >>> len(find_text_files([*files, "readme.txt", "spam/model.bin"])), find_text_files(["2019/a.txt", "2020/a.txt"])
    (20, [])
    """
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if "/" in file:
            by_suffix[PurePosixPath(file).suffix.lower()].append(file)
    texts = max((by_suffix[suffix] for suffix in _TEXTS), key=len)
    if 2 * len(texts) <= len(files):  # what is said in recordings, beside them
        return []
    layout = infer_layout(texts)
    sizes = Counter(layout.places[file].label for file in layout.labeled)
    is_one = len(layout.labeled) >= _LEAST_TEXTS and median(sizes.values() or [0]) >= _LEAST_OF_CLASS
    return layout.labeled if is_one and len(sizes) > 1 else []


def is_split(name: str, *, alone: bool = True) -> bool:
    """Return whether a folder's name says that it is a split.

    Args:
        alone: Whether it may say nothing else: `test_positive` may be a class.

    >>> [is_split(name) for name in ("train", "val2017", "Training Set", "trains", "test_positive")]
    [True, True, True, False, False]
    >>> is_split("test_positive", alone=False)
    True
    """
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = {word for word in re.split(r"[^a-z]+", text.lower()) if word}
    return not _SPLITS.isdisjoint(words) and (not alone or words <= _SPLITS | _BESIDE_SPLITS)


def find_classes_in_names(files: Sequence[str]) -> list[str]:
    """Return the classes that file names seem to begin with; none where they do not.

    >>> pets = [f"{breed}_{n}.jpg" for breed in ("beagle", "Abyssinian") for n in range(9)]
    >>> find_classes_in_names(pets), find_classes_in_names([f"IMG_{n}.jpg" for n in range(9)])
    (['Abyssinian', 'beagle'], [])
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for file in files:
        folder, _, name = file.rpartition("/")
        folders[folder].append(name.rsplit(".", 1)[0])
    return next((found for stems in folders.values() if (found := _find_shared_beginnings(stems))), [])


def _find_shared_beginnings(stems: Sequence[str]) -> list[str]:
    found = (re.fullmatch(r"(.*?[^\W\d].*?)[ _.\-]*\(?\d+\)?", stem) for stem in stems)
    prefixes = Counter(match[1] for match in found if match)
    shared = {name: count for name, count in prefixes.items() if count >= _SHARED}
    return sorted(shared) if len(shared) > 1 and sum(shared.values()) >= _MOST * len(stems) else []


Paths = list[tuple[str, ...]]


def _place(layout: FolderLayout, paths: Paths, level: int, split: str | None) -> None:
    """Say what the folders at one level mean, and go on below them."""
    tops: dict[str, Paths] = defaultdict(list)
    for path in paths:
        if len(path) > level + 1:
            tops[path[level]].append(path)
        if split:
            layout.places["/".join(path)] = ImagePlace(split=split)
    if split is None and (splits := _find_splits(tops, level)):
        for name in splits:
            _place(layout, tops[name], level + 1, name)
    elif (inner := _find_wrapper(tops, level, split)) is not None:
        layout.masks += tuple(name for name in tops if name != inner)
        _place(layout, tops[inner], level + 1, split)
    elif _is_only_file_kinds(tops):
        layout.masks += tuple(name for name in tops if _simplify_name(name) in _MASKS)
    else:
        _label(layout, tops, level, split)


def _is_only_file_kinds(tops: dict[str, Paths]) -> bool:
    """Return whether the folders only say what kind of files they hold."""
    return all(_simplify_name(name) in _IMAGES | _MASKS for name in tops)


def _find_splits(tops: dict[str, Paths], level: int) -> list[str]:
    """Return the folders that are splits.

    They are where every folder is called so, or where several seem to be and have the same classes below.
    """
    if all(map(is_split, tops)):
        return list(tops)
    called = [name for name in tops if is_split(name, alone=False)]
    if all(map(_VARIANT.fullmatch, tops)):
        called = list(tops)
    below = Counter(name for top in called for name in _list_folders(tops[top], level + 1))
    shared = {name for name, count in below.items() if count > 1}
    if len(shared) < 2:
        return []
    return [name for name in tops if name in called or shared & _list_folders(tops[name], level + 1)]


def _find_wrapper(tops: dict[str, Paths], level: int, split: str | None) -> str | None:
    """Return the folder within which the classes are, where this level has none."""
    if _is_only_file_kinds(tops):
        inner = [
            name for name in tops if _simplify_name(name) in _IMAGES and _list_folders(tops[name], level + 1)
        ]
        return inner[0] if len(inner) == 1 else None
    if len(tops) > 1:
        return None
    (name,) = tops
    deeper = sum(len(path) > level + 2 for path in tops[name])
    several = len(_list_folders(tops[name], level + 1)) > 1
    most = deeper == len(tops[name]) or (several and deeper > len(tops[name]) / 2)
    # Within a split, a single folder may be the only class that it has.
    return name if most and (split is None or is_split(name)) else None


def _label(layout: FolderLayout, tops: dict[str, Paths], level: int, split: str | None) -> None:
    """Take the folders of this level as classes."""
    below = {name: _list_folders(paths, level + 1) for name, paths in tops.items()}
    whole = {name: all(len(path) > level + 2 for path in tops[name]) for name in tops}
    inner = split is None and all(
        whole[name] and all(map(is_split, below[name])) for name in tops if name not in _NO_LABEL
    )
    for name, paths in tops.items():
        label = None if name in _NO_LABEL else name
        for path in paths:
            layout.places["/".join(path)] = ImagePlace(label, path[level + 1] if inner and label else split)
    first = next(iter(below.values()))
    if len(tops) > 1 and len(first) > 1 and not inner and all(found == first for found in below.values()):
        layout.alike = tuple(sorted(first)) if all(whole.values()) else ()


def _list_folders(paths: Paths, level: int) -> set[str]:
    return {path[level] for path in paths if len(path) > level + 1}


def _simplify_name(name: str) -> str:
    return re.sub(r"[\d_\- ]+", " ", name).strip().lower()


def count_files(files: Sequence[str], what: str, where: str = "") -> Iterator[str]:
    """Yield how many files there are and some of their names; nothing where there are none.

    >>> list(count_files(["a.txt", "b.txt"], "other file")), list(count_files([], "other file"))
    (["2 other files ('a.txt', 'b.txt')"], [])
    """
    if files:
        yield f"{len(files):,} {what}{'s' if len(files) > 1 else ''}{where} ({name_first_three(files)})"
