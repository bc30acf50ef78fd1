"""One sentence for a person: why this sample is in the queue."""

from collections import Counter
from collections.abc import Sequence


def reason(
    given: str,
    suggested: str,
    given_probability: float,
    suggested_probability: float,
    influence: float,
    neighbours: Sequence[str],
    *,
    conflict: bool,
    answers: Sequence[str] = (),
) -> str:
    """Return why a sample is in the queue, strongest reason first.

    Args:
        given: The given label.
        suggested: The suggested label.
        given_probability: Out of fold.
        suggested_probability: Out of fold.
        influence: Relative influence; positive = helpful.
        neighbours: Labels of the nearest neighbours.
        conflict: Whether identical content carries another label.
        answers: What each rater said, where there are several.

    >>> reason("3", "8", 0.02, 0.97, -4.2, ["8", "8", "8", "3", "8"], conflict=False)
    "Given '3', but out of fold '8' is more probable (97 % against 2 %); the label harms other predictions (influence -4.2); 4 of its 5 nearest neighbours are '8'."
    >>> reason("3", "8", 0.5, 0.4, 0.1, [], conflict=False, answers=["3", "8", "3"])
    "Raters said '3' (2), '8' (1); given '3', but '8' is more likely, as labels go wrong in this data set."
    >>> reason("50%", "100%", 0.1, 0.9, 0.1, [], conflict=False)
    "Given '50%', but out of fold '100%' is more probable (90 % against 10 %)."
    """  # noqa: E501 (one sentence)
    parts = []
    if answers:
        said = ", ".join(f"'{answer}' ({count})" for answer, count in Counter(answers).most_common())
        parts.append(f"raters said {said}")
    if conflict:
        parts.append(f"given '{given}', while identical content carries another label")
    if suggested != given and suggested_probability <= given_probability:
        parts.append(
            f"given '{given}', but '{suggested}' is more likely, as labels go wrong in this data set"
        )
    elif suggested != given:
        parts.append(
            f"given '{given}', but out of fold '{suggested}' is more probable "
            f"({100 * suggested_probability:.0f} % against {100 * given_probability:.0f} %)"
        )
    if influence < 0:
        parts.append(f"the label harms other predictions (influence {influence:.1f})")
    label, count = Counter(neighbours).most_common(1)[0] if neighbours else (given, 0)
    if label == suggested and label != given:
        parts.append(f"{count} of its {len(neighbours)} nearest neighbours are '{label}'")
    elif label != given:
        parts.append(f"its nearest neighbours are rather '{label}' ({count} of {len(neighbours)})")
    sentence = "; ".join(parts) or f"given '{given}', and flagged by the ranking"
    return sentence[0].upper() + sentence[1:] + "."
