"""Which probability belongs to which class: told by names, by the labels that go with it, or by the order of the classes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.errors import InputError, list_names, name_first_three
from tasks.ingest.labels.survey import LabelSurvey

# A class in fewer rows than this cannot be in every fold of the default five: its rows are set aside, and it may be a typo.
_LEAST_ROWS = 5
# What stands around the class is the same in all names: the first of them show it, also where some name no given class.
_LOOKED_AT = 20


@dataclass(frozen=True)
class ClassOrder:
    """The classes of the probabilities.

    Attributes:
        positive_last: With one column: whether it is the probability of the second class.
    """

    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    positive_last: bool = True


@dataclass(frozen=True)
class GivenProbabilities:
    """The first rows of the user's probabilities.

    Attributes:
        values: The numbers  # (rows, width)
    """

    uri: str
    columns: tuple[str, ...]
    labels: LabelSurvey
    values: NDArray[np.float32]
    texts: list[str | None]

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return int(self.values.shape[1])


def find_order(given: GivenProbabilities) -> ClassOrder:
    """Return the class of each number: that of its column's name or its place, or else the classes in their order.

    A name is a class whatever comes before or behind it in all names. The labels may say that the order is another one.

    Raises:
        InputError: No name is a class, and there are not as many numbers as classes.
    """
    classes = given.labels.list_classes()
    lists = len(given.columns) == 1
    places = tuple(str(place) for place in range(given.width))
    named = (
        _match_names(given.columns, classes) if not lists else places if set(classes) <= set(places) else None
    )
    if named is not None:
        notes = []
        what = "place" if lists else "column"
        if extra := tuple(name for name in named if name not in classes):
            notes.append(f"no row is labeled {name_first_three(extra)}, which --pred-probs has a {what} for")
        if without := [name for name in classes if name not in named]:
            notes.append(f"--pred-probs has no column for {name_first_three(without)}")
        return ClassOrder(named, tuple(notes))
    what = f"the lists in column '{given.columns[0]}'"
    found = f"{what} have {given.width} numbers" if lists else f"--pred-probs names {given.width} columns"
    order = _order_classes(given, classes, found)
    told = _order_by_labels(order, given.values, given.texts)
    if lists:
        said = f"{what} fit the labels best in the order {name_first_three(told)}"
        return ClassOrder(told, () if told == order else (said,))
    pairs = ", ".join(f"{column} = '{name}'" for column, name in zip(given.columns[:3], told, strict=False))
    by = "the sorted order of the classes is" if told == order else "what fits the labels best is"
    note = f"--pred-probs columns are not named after the classes; {by} taken: {pairs}"
    return ClassOrder(told, (note + (", …" if given.width > 3 else ""),))


def require_two(given: GivenProbabilities) -> None:
    """Raise InputError where one number a row cannot be the probabilities of all classes."""
    classes = given.labels.list_classes()
    if len(classes) != 2:
        raise InputError(
            f"--pred-probs {given.columns[0]} has one number in each row, and there are {len(classes)} classes",
            where=given.uri,
            fix=f"name one column for each class ({list_names(classes)}), or a column of lists",
        )


def order_of_binary(given: GivenProbabilities) -> ClassOrder:
    """Return which of two classes one column is the probability of: the one that it is named after, or is higher for."""
    classes = given.labels.list_classes()
    means = [
        float(given.values[rows].mean()) if rows.any() else 0.0
        for rows in (np.array([text == name for text in given.texts], bool) for name in classes)
    ]
    words = _split_name(given.columns[0])
    after = [
        place for place in (0, 1) if words[-len(_split_name(classes[place])) :] == _split_name(classes[place])
    ]
    positive = after[0] if len(after) == 1 else int(means[1] >= means[0])
    why = f"it is {means[positive]:.2g} on average there, {means[1 - positive]:.2g} for '{classes[1 - positive]}'"
    note = f"--pred-probs {given.columns[0]} is read as the probability of '{classes[positive]}': {why}"
    return ClassOrder(classes, notes=(note,), positive_last=positive == 1)


def _order_classes(given: GivenProbabilities, classes: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the classes in their order, without those of so few rows that they are set aside anyway."""
    common = tuple(name for name in classes if given.labels.counts[name] >= _LEAST_ROWS)
    for some in (classes, common):
        if len(some) == given.width:
            return some
    raise InputError(
        f"{what}, and there are {len(classes)} classes",
        where=given.uri,
        fix=f"give one probability for each class, in this order: {list_names(classes)}; or name a column after each class",
    )


def _order_by_labels(
    order: tuple[str, ...], values: NDArray[np.float32], texts: Sequence[str | None]
) -> tuple[str, ...]:
    """Return the class whose rows have the highest mean of each number, where that is another one for each number.

    >>> values = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    >>> _order_by_labels(("cat", "dog"), values, ["dog", "cat"])
    ('dog', 'cat')
    """
    code = {name: place for place, name in enumerate(order)}
    given = np.array([code.get(text or "", -1) for text in texts])
    means = np.full((len(order), len(order)), -np.inf)
    for place in range(len(order)):
        if (given == place).any():
            means[place] = values[given == place].mean(axis=0)
    best = means.argmax(axis=0)
    return tuple(order[place] for place in best) if len(set(best.tolist())) == len(order) else order


def _match_names(columns: Sequence[str], classes: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the class that each column is named after; what is not a class that is given is named as the column is.

    >>> _match_names(["prob_c10", "prob_c2", "prob_c7"], ("c2", "c10"))
    ('c10', 'c2', 'c7')
    >>> _match_names(["P(New York)", "P(Rome)"], ("new_york", "rome"))
    ('new_york', 'rome')
    >>> _match_names(["p0", "p1"], ("cat", "dog"))
    """
    by_words = {_split_name(name): name for name in classes}
    if len(by_words) < len(classes):  # classes that differ in capitals or signs alone
        by_words = {(name,): name for name in classes}
    best: tuple[str, ...] | None = None
    found = 0
    for before, behind in _list_frames(columns, classes):
        rest = [column[len(before) : len(column) - len(behind)] for column in columns]
        names = tuple(by_words.get(_split_name(part)) or by_words.get((part,)) or part for part in rest)
        matched = sum(name in classes for name in names)
        if matched > found and len(set(names)) == len(names):
            best, found = names, matched
    # With half of the classes, the names are not accident.
    return best if 2 * found >= len(classes) and found > 1 else None


def _list_frames(columns: Sequence[str], classes: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield what may be before and behind the class in the names of all columns."""
    tried = set()
    for column in columns[:_LOOKED_AT]:
        for name in classes:
            pattern = r"[^a-z0-9]*".join(map(re.escape, "".join(_split_name(name)))) or re.escape(
                name.lower()
            )
            for hit in re.finditer(pattern, column.lower()):
                frame = column[: hit.start()], column[hit.end() :]
                if frame not in tried and all(_is_framed(other, *frame) for other in columns):
                    tried.add(frame)
                    yield frame


def _is_framed(column: str, before: str, behind: str) -> bool:
    return len(column) > len(before) + len(behind) and column.startswith(before) and column.endswith(behind)


def _split_name(name: str) -> tuple[str, ...]:
    """Return the parts of a name that do not depend on how it is written.

    >>> _split_name("New York"), _split_name("score_Positive"), _split_name("1.0")
    (('new', 'york'), ('score', 'positive'), ('1',))
    """
    whole = re.sub(r"(?<=\d)\.0+$", "", name.strip().lower())
    return tuple(re.findall(r"\w[^\W_]*|[^\W_]+", whole.replace("_", " "))) or (name,)
