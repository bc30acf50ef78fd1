"""Parts computed by the workers of a Dask cluster: the same functions on the same parts, added in the same order.

Workers read the feature file themselves, so they must see the run folder under the same path (a shared disk). A
part is sent once, as a task that can be run again: where a worker dies, the scheduler gives its parts to the
others, and nothing that comes out changes. Results come back in the order of the parts, whoever was fastest.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import torch
from distributed import Client, Future

from tasks.errors import InputError
from tasks.heads.executor import Executor, LocalExecutor
from tasks.heads.features import MemoryFeatures
from tasks.heads.part import StackPart
from tasks.heads.rows import EncodedRows, HeldRows, Rows

R = TypeVar("R")

# Seconds to wait for a scheduler that does not answer, and for the first worker.
PATIENCE = 10

# Parts under way for each worker: one that is computed, one that waits beside it, and one on its way back.
AHEAD = 3

# How often a part is tried again that a dying worker took with it.
RETRIES = 5


class DaskCluster:
    """The workers of a Dask scheduler.

    Args:
        client: A connected client.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._sent: dict[int, tuple[Any, Future[Any]]] = {}

    def map(
        self,
        function: Callable[..., R],
        parts: Sequence[Any],
        arguments: Sequence[Any],
        own: Sequence[Any] | None = None,
    ) -> Iterator[R]:
        """Yield `function(part, *arguments)` for every part, in the order of the parts."""
        if own is not None:
            raise NotImplementedError("what was kept of a part lies with the worker that had it, or nowhere")
        shared = self.client.submit(_hold, tuple(arguments), pure=False)
        threads = torch.get_num_threads()
        ahead = AHEAD * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))
        waiting: deque[Future[Any]] = deque()
        for part in parts:
            waiting.append(
                self.client.submit(
                    _call, function, self._send_part(part), shared, threads, pure=False, retries=RETRIES
                )
            )
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _send_part(self, part: Any) -> Future[Any]:  # noqa: ANN401 (whatever is computed on)
        """Return the part on the cluster; the part itself is kept, so that its identity stays its own."""
        if id(part) not in self._sent:
            future = self.client.submit(_hold, compact(part), pure=False, retries=RETRIES)
            self._sent[id(part)] = part, future
        return self._sent[id(part)][1]

    def forget(self) -> None:
        """Let go of all parts that were sent."""
        self._sent.clear()


def _hold(value: R) -> R:
    return value


def _call(function: Callable[..., Any], part: Any, arguments: Sequence[Any], threads: int) -> Any:  # noqa: ANN401
    # A matrix product may round otherwise with another number of threads.
    torch.set_num_threads(threads)
    result = function(part, *arguments)
    return list(result) if isinstance(result, Iterator) else result


def compact(part: StackPart) -> StackPart:
    """Return the part without the rest of the tensors that its own are views of."""
    design = replace(part.design, group=part.design.group.clone())
    return replace(
        part, rows=_compact_rows(part.rows), labels=part.labels.clone(), keep=part.keep.clone(), design=design
    )


def _compact_rows(rows: Rows) -> Rows:
    if isinstance(rows, HeldRows):
        return HeldRows(rows.tensor.clone(), rows.block_rows)
    if isinstance(rows, EncodedRows) and isinstance(rows.features, MemoryFeatures):
        held = MemoryFeatures(rows.features.tensor.clone(), rows.block_rows)
        return EncodedRows(held, rows.encode)
    return rows


def place_of(address: str | None) -> Executor:
    """Return where parts are computed: on the cluster whose scheduler has this address, or here if None.

    Raises:
        InputError: No scheduler answers, or it has no worker.
    """
    return LocalExecutor() if address is None else DaskCluster(_connect_client(address))


@lru_cache(maxsize=1)
def _connect_client(address: str) -> Client:
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        reason = "has no worker" if isinstance(error, TimeoutError) else "does not answer"
        raise InputError(
            f"the Dask scheduler {reason}",
            where=f"--dask {address}",
            fix="start `dask scheduler`, and `dask worker` with its address",
        ) from error
    return client
