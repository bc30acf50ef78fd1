"""JSON Lines of annotation tools in which the label has to be put together: Prodigy's, and doccano's with numbered labels.

Prodigy asks a question a line. What was accepted is the label; where one label was asked for, what was rejected is `not LABEL`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

# What Prodigy writes beside the content and the answer.
_ASIDE = frozenset(
    {"options", "accept", "answer", "label", "spans", "tokens", "style", "config", "priority", "score"}
)


def is_prodigy(item: object) -> bool:
    """Return whether an object is an answer in Prodigy.

    >>> is_prodigy({"text": "a", "label": "b", "_task_hash": 1, "answer": "accept"}), is_prodigy({"answer": "yes"})
    (True, False)
    """
    return isinstance(item, dict) and {"_task_hash", "answer"} <= item.keys()


def is_doccano(item: object) -> bool:
    """Return whether an object is a text with numbered labels of doccano, which are not those of spans.

    >>> is_doccano({"text": "a", "annotations": [{"label": 2, "user": 1}]})
    True
    """
    notes = item.get("annotations") if isinstance(item, dict) else None
    return isinstance(notes, list) and all(
        isinstance(note, dict) and "label" in note and "start_offset" not in note for note in notes
    )


def list_answers(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any] | None]:
    """Yield content and labels of each item as one row, None for a question that was passed over.

    >>> asked = {"text": "a", "_task_hash": 1, "label": "B"}
    >>> list(list_answers([asked | {"answer": "accept"}, asked | {"answer": "reject"}, asked | {"answer": "ignore"}]))
    [{'text': 'a', 'label': ['B']}, {'text': 'a', 'label': ['not B']}, None]
    """
    asked = {str(item["label"]) for item in items if "label" in item}
    for item in items:
        if is_doccano(item):
            content = {name: value for name, value in item.items() if name != "annotations"}
            yield content | {"label": [str(note["label"]) for note in item["annotations"]]}
            continue
        content = {
            name: value for name, value in item.items() if name not in _ASIDE and not name.startswith("_")
        }
        given = item.get("accept") if "options" in item else [item.get("label")]
        if item.get("answer") == "accept" and given and None not in given:
            yield content | {"label": list(map(str, given))}
        elif item.get("answer") == "reject" and "options" not in item and len(asked) == 1:
            yield content | {"label": [f"not {item['label']}"]}
        else:
            yield None
