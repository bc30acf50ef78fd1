"""Which samples people are asked about once more although somebody has decided on them, and why: content or label changed."""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.queue.earlier_hashes import MatchedRows


def count_asked_again(
    matched: MatchedRows,
    asked: Array,
    pairs: Collection[tuple[str, str]],
    formers: Mapping[str, Collection[str]],
) -> dict[str, int]:
    """Count them by what changed since the last run.

    Args:
        asked: (n,) bool, whom the queue or an earlier one asks about.
        pairs: Content hashes and labels that people have decided on.
        formers: Hashes that the contents of the last run had before, by hash.
    """
    index = np.flatnonzero(asked & (matched.place >= 0))
    some = pa.array(index)
    before = zip(
        matched.before_hash.take(some).to_pylist(), matched.before_label.take(some).to_pylist(), strict=True
    )
    was_decided = np.array(
        [
            any((one, label) in pairs for one in (content, *formers.get(content, ())))
            for content, label in before
        ],
        bool,
    )
    content = was_decided & ~matched.same_content[index]
    return {
        "content": int(content.sum()),
        "label": int((was_decided & ~content & ~matched.same_label[index]).sum()),
    }
