"""Who reviews what: the queue is dealt to names evenly, or by class.

Names that have classes get the samples with these given labels; names without share all others, in the order of the
queue. What is nobody's is for everybody. Copies of one sample go to one person. What two people are to decide goes to two.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tasks.errors import InputError, list_names
from tasks.review.ledger import Key
from tasks.review.log import MAX_REVIEWER
from tasks.review.queue import Item
from tasks.user_files import read_user_yaml

Shares = Mapping[str, tuple[str, ...]]

_FORM: Final = (
    "write Ada,Bo for even shares, or a YAML file with lines such as `Ada: [cat, dog]` and `Bo: []`"
)


def read_shares(text: str, classes: Sequence[str]) -> Shares:
    """Return the classes of each name; none for a name that shares what is left.

    Args:
        text: Names with commas between them, or a YAML file.

    Raises:
        InputError: It is neither, or a class is not in the data set.

    >>> read_shares("Ada, Bo", ["cat"])
    {'Ada': (), 'Bo': ()}
    """
    where = f"--assign {text}"
    is_file = Path(text).suffix in (".yaml", ".yml")
    found = _read_yaml(text, where) if is_file else {" ".join(name.split()): () for name in text.split(",")}
    if not all(name and len(name) <= MAX_REVIEWER and name.isprintable() for name in found):
        raise InputError("a name is empty or too long", where=where, fix=_FORM)
    unknown = sorted({label for labels in found.values() for label in labels} - set(classes))
    if unknown:
        fix = f"its classes: {list_names(classes)}"
        raise InputError(f"no class {unknown[0]!r} in this data set", where=where, fix=fix)
    return found


def _read_yaml(text: str, where: str) -> dict[str, tuple[str, ...]]:
    value = read_user_yaml(Path(text), _FORM)
    if not isinstance(value, dict) or not all(isinstance(each, list | None) for each in value.values()):
        raise InputError("not names with lists of classes", where=where, fix=_FORM)
    return {
        " ".join(str(name).split()): tuple(str(label) for label in labels or ())
        for name, labels in value.items()
    }


def deal_items(
    items: Sequence[Item], shares: Shares, is_double: Callable[[Key], bool]
) -> list[frozenset[str]]:
    """Return who reviews each item; nobody named means everybody.

    Args:
        items: The queue, in order.
        is_double: Whether two people are to decide what is asked of a key.
    """
    turns: Counter[tuple[str, ...]] = Counter()
    dealt: dict[str, tuple[str, ...]] = {}
    rest = tuple(name for name, classes in shares.items() if not classes)
    found = []
    for item in items:
        experts = tuple(name for name, classes in shares.items() if item.given in classes) or rest
        content = item.key.content_hash
        if content not in dealt and experts:
            at = turns[experts] % len(experts)
            dealt[content] = tuple(dict.fromkeys((*experts[at:], *experts[:at], *shares)))
            turns[experts] += 1
        # The same content with another label may be asked of two where the first one was asked of one.
        found.append(frozenset(dealt.get(content, ())[: 2 if is_double(item.key) else 1]))
    return found
