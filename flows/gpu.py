"""The fit on another machine: a flow run of its own, picked up by a worker of the deployment's pool.

Data cross by path: what goes out are records and a folder, what comes back is in that folder. Prefect's `run_deployment`
does not raise: a child that failed, or that nobody picked up, comes back in its state and might still run later. Here such a
child is cancelled, and the parent ends with what to do about it.
"""

import hashlib
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, cast

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from flows.fit_rounds import FITTED, Fitted
from flows.platform.flow_run import ask_server
from tasks.errors import InputError, LabelsweepError
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.runs.checksums import are_intact, read_records
from tasks.storage import read_json

# A worker polls every second in our stack (15 s by default): asking more often tells nothing new.
POLL_SECONDS = 1.0
# While nobody picks the fit up, the log says what is waited for this often.
SAY_SECONDS = 60.0
_AT_WORK = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])


def fit_by(
    deployment: str,
    dataset: Dataset,
    folder: Path,
    options: AuditOptions,
    previous: Path | None,
    *,
    pickup_seconds: float,
) -> Fitted:
    """Have a deployment of the `fit` flow do the fit, and wait until it is done.

    A run that is gone on with joins the child that its predecessor left behind, if that one still works.

    Args:
        deployment: Name of the deployment, such as `fit/gpu`.
        folder: The run folder, at the same path on both machines.
        previous: Folder of the last run of the same data set.
        pickup_seconds: How long the child may wait for a worker.

    Raises:
        InputError: There is no such deployment.
        LabelsweepError: The child failed, or no worker picked it up.
    """
    parameters = {
        "dataset": dataset.model_dump(mode="json"),
        "folder": str(folder),
        "options": options.model_dump(mode="json"),
        "previous": str(previous) if previous else None,
    }
    # Asked for something else, a run that is resumed needs another child.
    asked = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]
    with get_client(sync_client=True) as client:
        pool, is_again = ask_server(lambda: _find_pool(client, deployment)), False
        for attempt in count(1):
            key = f"{folder.name}-fit-{asked}-{attempt}"
            earlier = ask_server(partial(_find, client, key))
            if earlier is not None and _has_failed(earlier.state):
                continue
            child = earlier or _start(deployment, parameters, key)
            state = _follow(client, child, pool, pickup_seconds)
            if state.is_completed() and earlier is not None and not _is_whole(folder):
                continue
            if state.is_completed():
                return Fitted.model_validate(read_json(folder / FITTED))
            if earlier is None and state.is_crashed() and not is_again:
                get_run_logger().warning("the fit crashed (%s), and is sent once more", state.message)
                is_again = True
            elif earlier is None:
                raise LabelsweepError(
                    f"the fit ended as {state.name} on pool '{pool}' ({state.message or 'no message'})",
                    where=deployment,
                    fix=f"look at flow run {child.name}; then the same command continues from the last finished step",
                )
    raise AssertionError("unreachable: attempts are counted without end")


def _is_whole(folder: Path) -> bool:
    """Return whether what a child made in a run folder is still there."""
    records = list(read_records(folder).values())
    return (folder / FITTED).is_file() and all(
        are_intact(folder, one["files"], [other for other in records if other["place"] > one["place"]])
        for one in records
    )


def _find_pool(client: SyncPrefectClient, deployment: str) -> str:
    try:
        found = client.read_deployment_by_name(deployment)
    except (ObjectNotFound, ValueError) as error:
        raise InputError(
            f"no deployment '{deployment}' on the Prefect server",
            where="--gpu-deployment",
            fix="`prefect deploy --all` makes fit/gpu; without the option the fit runs in this process",
        ) from error
    return found.work_pool_name or "default"


def _find(client: SyncPrefectClient, key: str) -> FlowRun | None:
    """Return the child that was started under a key."""
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
    found = client.read_flow_runs(flow_run_filter=wanted, limit=1)
    return found[0] if found else None


def _has_failed(state: State[Any] | None) -> bool:
    return state is not None and state.is_final() and not state.is_completed()


def _start(deployment: str, parameters: dict[str, Any], key: str) -> FlowRun:
    tags = ["labelsweep", "gpu"]
    child = ask_server(
        lambda: run_deployment(deployment, parameters=parameters, timeout=0, idempotency_key=key, tags=tags)
    )
    return cast("FlowRun", child)


def _follow(client: SyncPrefectClient, child: FlowRun, pool: str, pickup_seconds: float) -> State[Any]:
    """Wait for the child's end; cancel it when nobody picks it up, and when this process is told to stop."""
    began = said = time.monotonic()
    has_ended = False
    try:
        get_run_logger().info(
            "the fit waits for a worker of pool '%s' (%s)", pool, _describe_pool(client, child, pool)[0]
        )
        while True:
            state = ask_server(lambda: client.read_flow_run(child.id)).state
            if state is not None and state.is_final():
                has_ended = True
                return state
            now = time.monotonic()
            if state is None or state.is_scheduled():
                if now > began + pickup_seconds:
                    _give_up(client, child, pool, pickup_seconds)
                if now > said + SAY_SECONDS:
                    waits = "still no worker of pool '%s' has picked up the fit, after %d s (%s)"
                    found, _ = _describe_pool(client, child, pool)
                    get_run_logger().info(waits, pool, now - began, found)
                    said = now
            time.sleep(POLL_SECONDS)
    finally:
        # A server that is away is not told: the next run then joins the child.
        if not has_ended:
            with suppress(httpx.TransportError):
                client.set_flow_run_state(child.id, Cancelling(message="the run that wanted it has ended"))


def _give_up(client: SyncPrefectClient, child: FlowRun, pool: str, seconds: float) -> NoReturn:
    found, fix = _describe_pool(client, child, pool)
    raise LabelsweepError(
        f"no worker of pool '{pool}' picked up the fit within {seconds:g} s ({found})",
        where="--gpu-timeout",
        fix=f"{fix}; the next run continues from here",
    )


def _describe_pool(client: SyncPrefectClient, child: FlowRun, pool: str) -> tuple[str, str]:
    """Return what the server knows of a pool whose workers do not take a run, and what to do about it."""
    return ask_server(lambda: _find_pause(client, child, pool) or _find_workers(client, pool))


def _find_pause(client: SyncPrefectClient, child: FlowRun, pool: str) -> tuple[str, str] | None:
    if client.read_work_pool(pool).is_paused:
        return "the pool is paused", f"resume it with `prefect work-pool resume {pool}`"
    queue = child.work_queue_name or "default"
    if client.read_work_queue_by_name(queue, work_pool_name=pool).is_paused:
        return (
            f"its queue '{queue}' is paused",
            f"`prefect work-queue resume {queue} --pool {pool}` resumes it",
        )
    return None


def _find_workers(client: SyncPrefectClient, pool: str) -> tuple[str, str]:
    at_work = client.count_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=_AT_WORK)),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    start = f"with `prefect worker start --pool {pool}`"
    if at_work:
        found = f"{_describe_workers(client, pool)}, {at_work} of its runs at work"
        return found, f"wait longer, or start another one {start}"
    return _describe_workers(client, pool), f"start one {start}, or wait longer"


def _describe_workers(client: SyncPrefectClient, pool: str) -> str:
    """Say which workers of a pool the server has heard from, and when: one that died is online for a while yet."""
    answer = client.request(
        "POST", "/work_pools/{work_pool_name}/workers/filter", path_params={"work_pool_name": pool}, json={}
    )
    heard = {str(one["name"]): one.get("last_heartbeat_time") for one in answer.json()}
    ages = {name: _count_seconds_since(time) for name, time in heard.items() if time}
    if not ages:
        return "none has ever been heard of"
    name = min(ages, key=lambda one: ages[one])
    others = f", and {len(ages) - 1} more before" if len(ages) > 1 else ""
    return f"'{name}' was heard of {ages[name]:,.0f} s ago{others}"


def _count_seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
