"""A few plain words for a person: why this sample is in the queue."""

from collections import Counter
from collections.abc import Sequence


def write_reason(
    given: str,
    suggested: str,
    given_probability: float,
    suggested_probability: float,
    neighbours: Sequence[str],
    *,
    conflict: bool,
    answers: Sequence[str] = (),
    typo: bool = False,
    agree: tuple[int, int] = (0, 1),
    flagged: bool = True,
) -> str:
    """Return why a sample is in the queue, what a person can see for themselves first.

    Args:
        answers: What each rater said, where there are several.
        typo: Whether the given label is nearly the name of the suggested class, and few samples have it.
        agree: How many models that never saw the label predict the suggested one, and how many models there are.
        flagged: Whether the sample is flagged; otherwise it only is among the most doubtful.

    >>> write_reason("3", "8", 0.02, 0.97, ["8", "8", "8", "3", "8"], conflict=False)
    'Looks like 8 (97 %). 4 of its 5 most similar samples are 8.'
    >>> write_reason("3", "8", 0.02, 0.97, [], conflict=False, agree=(5, 6))
    'Looks like 8 (97 %) to 5 of 6 models.'
    >>> write_reason("3", "3", 0.6, 0.6, [], conflict=False, flagged=False)
    'Not flagged, only among the most doubtful. Looks like 3 (60 %), as labeled.'
    >>> write_reason("3", "8", 0.5, 0.4, [], conflict=False, answers=["3", "8", "3"])
    'Raters said 3 (2), 8 (1). Could be 8 (40 %): here, what is 8 is often labeled 3.'
    >>> write_reason("not spam", "spam", 0.001, 0.999, ["not spam"] * 3, conflict=True)
    'Looks like spam (99 %). The same content also has another label. But all 3 most similar samples are “not spam”.'
    """
    sure = f"({min(99, max(1, round(100 * suggested_probability)))} %)"
    to = _count_models(*agree)
    sentences = [] if flagged else ["Not flagged, only among the most doubtful."]
    if answers:
        said = ", ".join(f"{quote(answer)} ({count})" for answer, count in Counter(answers).most_common())
        sentences.append(f"Raters said {said}.")
    if typo:
        sentences.append(f"Few samples are called {quote(given)}: did somebody mean {quote(suggested)}?")
    elif suggested == given and not flagged:
        sentences.append(f"Looks like {quote(given)} {sure}{to}, as labeled.")
    elif suggested == given:
        sentences.append(f"Looks like {quote(given)} {sure}, but with this label it harms other predictions.")
    elif suggested_probability <= given_probability:
        often = f"here, what is {quote(suggested)} is often labeled {quote(given)}"
        sentences.append(f"Could be {quote(suggested)} {sure}: {often}.")
    else:
        sentences.append(f"Looks like {quote(suggested)} {sure}{to}.")
    if conflict:
        sentences.append("The same content also has another label.")
    if neighbours:
        sentences.append(_describe_neighbours(neighbours, given if suggested != given else ""))
    return " ".join(sentences)


def _count_models(count: int, models: int) -> str:
    """Return to how many models a sample looks so; empty where that says nothing."""
    if not count or models == 1:
        return ""
    return f" to all {models} models" if count == models else f" to {count} of {models} models"


def _describe_neighbours(neighbours: Sequence[str], doubted: str) -> str:
    """Return what most of the nearest neighbours are."""
    (label, count), size = Counter(neighbours).most_common(1)[0], len(neighbours)
    which = f"all {size}" if count == size else f"{count} of its {size}"
    sentence = f"{which} most similar samples are {quote(label)}."
    return f"But {sentence}" if label == doubted else sentence[0].upper() + sentence[1:]


def quote(label: str) -> str:
    """Return a label as a sentence can hold it: in quotes where it is more than one word.

    >>> quote("8"), quote("not spam")
    ('8', '“not spam”')
    """
    return label if label.isalnum() else f"“{label}”"
