"""The fit on another machine: a flow run of its own, picked up by a worker of the deployment's pool.

Data cross by path: what goes out are records and a folder, what comes back is in that folder. Prefect's `run_deployment`
does not raise: a child that failed, or that nobody picked up, comes back in its state and might still run later. Here such a
child is cancelled, and the parent ends with what to do about it.
"""

import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, cast

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from flows.fit_rounds import FITTED, Fitted
from flows.platform.flow_run import ask_server
from tasks.errors import InputError, LabelsweepError
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.storage import read_json

# A worker polls every second in our stack (15 s by default): asking more often tells nothing new.
POLL_SECONDS = 1.0
# While nobody picks the fit up, the log says what is waited for this often.
SAY_SECONDS = 60.0


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
    with get_client(sync_client=True) as client:
        pool, is_again = _find_pool(client, deployment), False
        for attempt in count(1):
            key = f"{folder.name}-fit-{attempt}"
            earlier = _find(client, key)
            if earlier is not None and _has_failed(earlier.state):
                continue
            child = earlier or _start(deployment, parameters, key)
            state = _follow(client, child, pool, pickup_seconds)
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
    get_run_logger().info(
        "the fit waits for a worker of pool '%s' (%s)", pool, _describe_workers(client, pool)
    )
    try:
        while True:
            state = client.read_flow_run(child.id).state
            if state is not None and state.is_final():
                has_ended = True
                return state
            now = time.monotonic()
            if state is None or state.is_scheduled():
                if now > began + pickup_seconds:
                    _give_up(client, pool, pickup_seconds)
                if now > said + SAY_SECONDS:
                    waits = "still no worker of pool '%s' has picked up the fit, after %d s (%s)"
                    get_run_logger().info(waits, pool, now - began, _describe_workers(client, pool))
                    said = now
            time.sleep(POLL_SECONDS)
    finally:
        if not has_ended:
            client.set_flow_run_state(child.id, Cancelling(message="the run that wanted it has ended"))


def _give_up(client: SyncPrefectClient, pool: str, seconds: float) -> NoReturn:
    raise LabelsweepError(
        f"no worker of pool '{pool}' picked up the fit within {seconds:g} s ({_describe_workers(client, pool)})",
        where="--gpu-timeout",
        fix=f"start one with `prefect worker start --pool {pool}`, or wait longer; the same command then continues",
    )


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
