"""The stacks of folds of an ensemble, within a budget of memory."""

from collections.abc import Sequence

from torch import Tensor

from tasks.heads.design import Design
from tasks.heads.executor import Executor, LocalExecutor
from tasks.heads.features import Features
from tasks.heads.members import Member
from tasks.heads.rows import count_encoded_bytes, encode_rows
from tasks.heads.softmax import SoftmaxStack

# Half of the budget for encoded features, a quarter for the probabilities of one Hessian; the last quarter is
# for blocks under way, columns of scores, and the libraries.
FEATURES_SHARE, PROBABILITIES_SHARE = 1 / 2, 1 / 4


def make_stacks(
    features: Features,
    labels: Tensor,
    n_classes: int,
    design: Design,
    members: Sequence[Member],
    keep: Tensor,
    memory: int,
    dask: str | None = None,
) -> list[SoftmaxStack]:
    """Return one stack of folds for each member; what does not fit into memory is encoded as it is read.

    The budget decides where encoded features are and what is computed twice, never what comes out.

    Args:
        labels: (n,) classes.
        n_classes: C.
        keep: (n,) bool, False for samples that are left out of fitting and evaluation.
        memory: Bytes that all stacks together may fill.
        dask: Address of the Dask scheduler whose workers compute, None for this process. Workers read features themselves.

    Raises:
        InputError: The cluster cannot be used.
    """
    place = _choose_place(dask)
    left = int(memory * FEATURES_SHARE) if isinstance(place, LocalExecutor) else -1
    stacks = []
    for member in members:
        size = count_encoded_bytes(features, member.feature_map)
        rows = encode_rows(features, member.feature_map, left)
        left -= size if size <= left else 0
        stacks.append(
            SoftmaxStack(
                rows, labels, n_classes, design, member.l2, keep, int(memory * PROBABILITIES_SHARE), place
            )
        )
    return stacks


def _choose_place(dask: str | None) -> Executor:
    if dask is None:
        return LocalExecutor()
    from tasks.heads.cluster import place_of  # noqa: PLC0415 (a second, and only with a cluster)

    return place_of(dask)
