"""Words of a text that give the label away, such as a prefix "label: sport"."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from tasks.errors import list_names
from tasks.ingest.labels.survey import LabelSurvey
from tasks.ingest.leaks.measures import Flags, Ints, measure_flags
from tasks.ingest.leaks.sample import draw_labeled_rows, encode_text
from tasks.ingest.table import SourceTable

# A word of one class in nearly all its texts shows in a few hundred of them; this many are read in a second.
_TEXTS = 2_000
# Characters that are read of a text: a note about the label comes before or behind it.
_HEAD, _TAIL = 2_000, 200
# Words at the start, and at the end, count apart: the name of a class may be anywhere in texts of other classes.
_EDGE = 5
_WORD = re.compile(r"\w+")
# Where a word stands (anywhere, at the start, at the end), and the word.
Word = tuple[str, str]


def find_telling_texts(
    table: SourceTable, survey: LabelSurvey, column: str, least_rows: int, least_share: float
) -> dict[str, str]:
    """Return why a column of texts gives the label away, by the column's name; nothing where it does not.

    Args:
        least_share: Share of the errors of guessing the most frequent class that the words must avoid.
    """
    _, sample = draw_labeled_rows(table, survey.column, [column], _TEXTS)
    labels, classes = encode_text(survey.read_text(sample[survey.column]))
    if len(labels) < least_rows:
        return {}
    words = _find_best_words(sample[column].to_pylist(), labels, len(classes))
    if not words:
        return {}
    share, rows = measure_flags([(name, says) for name, _, says in words], labels)
    if share < least_share:
        return {}
    shown = list_names(sorted(word for _, word, _ in words))
    return {
        column: f"the words {shown} alone tell the label in {rows:.1%} of the texts; "
        "take them out of the texts if they were written from the label"
    }


def _find_best_words(texts: Iterable[str | None], labels: Ints, classes: int) -> list[tuple[int, str, Flags]]:
    """Return for each class the word that tells it best from the others, and the texts in which it stands.

    A class whose best word does not even halve the errors has none.
    """
    rows: dict[Word, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for word in _list_words(text or ""):
            rows[word].append(row)
    sizes = np.bincount(labels, minlength=classes)
    best: dict[int, tuple[float, str, list[int]]] = {}
    for (_, text), there in rows.items():
        if 2 * len(there) < sizes.min():
            continue
        ((likely, right),) = Counter(labels[there].tolist()).most_common(1)
        size = int(sizes[likely])
        share = 1 - (size + len(there) - 2 * right) / max(1, min(size, len(labels) - size))
        if share > max(0.5, best.get(likely, (0.0,))[0]):
            best[likely] = (share, text, there)
    found = []
    for likely, (_, text, there) in sorted(best.items()):
        says = np.zeros(len(labels), np.bool_)
        says[there] = True
        found.append((likely, text, says))
    return found


def _list_words(text: str) -> set[Word]:
    """Return the different words of a text, and those at its edges once more.

    >>> sorted(_list_words("Label: sport"))[:2]
    [('', 'label'), ('', 'sport')]
    """
    read = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]} {text[-_TAIL:]}"
    words: Sequence[str] = _WORD.findall(read.casefold())
    return (
        {("", word) for word in words}
        | {("start", word) for word in words[:_EDGE]}
        | {("end", word) for word in words[-_EDGE:]}
    )
