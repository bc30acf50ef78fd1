"""Identical content with different labels: at least one of the labels is wrong, whatever any model says."""

import pandas as pd

from tasks.arrays import Array


def outvoted(content: Array, labels: Array) -> Array:
    """Return which samples carry another label than the majority of the samples with the same content.

    Where no label has the majority alone, all of the group are returned: a person has to look at each.

    Args:
        content: (n,) content hashes.
        labels: (n,) given labels.

    Returns:
        (n,) bool.

    >>> import numpy as np
    >>> outvoted(np.array(["a", "a", "a", "b", "b"]), np.array(["cat", "cat", "dog", "cat", "dog"])).tolist()
    [False, False, True, True, True]
    """
    frame = pd.DataFrame({"content": content, "label": labels})
    votes = frame.groupby(["content", "label"]).size().rename("votes").reset_index()
    most = votes.groupby("content")["votes"].transform("max")
    leaders = votes[votes["votes"] == most]
    winners = leaders[~leaders["content"].duplicated(keep=False)].set_index("content")["label"]
    lost: Array = (frame["content"].map(winners) != frame["label"]).to_numpy()
    return lost
