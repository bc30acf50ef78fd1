"""The deployments of `datasets.yaml`, made and brought up to date through Prefect's own API."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from flows.clean import clean_labels
from flows.data_sets import DataSet, Operation
from flows.platform.events import DATA_SET_LABEL, FLAGGED
from flows.platform.flow_run import GATE
from tasks.errors import InputError

# The tag by which a deployment is known as one of the list.
LISTED = "labelsweep-list"
# A run by hand may be at work on the same data set: the scheduled one queues behind it.
_WAIT_SECONDS = 3600.0
# Prefect's server returns no more at once.
_PAGE = 200
KINDS = ("flagged", "failed", "crashed")
_SAYS = {
    "flagged": "{{ event.payload.flagged }} labels of {{ event.payload.rows }} are likely wrong; {{ event.payload.review }}",
    "failed": "{{ flow_run.name }}: {{ flow_run.state.name }}: {{ flow_run.state.message }}",
}


def deploy_data_sets(data_sets: Sequence[DataSet], *, prune: bool) -> Iterator[str]:
    """Make the deployments what the list says; yield a line for each data set.

    Args:
        prune: Whether deployments of data sets that are not listed any more are removed.

    Raises:
        InputError: A schedule, a pool or a notification block is not there, or not valid.
    """
    with get_client(sync_client=True) as client:
        made = {one.name: _make_deployment(one, client) for one in data_sets}
        blocks = {one.name: _block(one, client) for one in data_sets}
        for one in data_sets:
            yield f"{one.name}: {_bring_up_to_date(made[one.name], one.operation, client)}"
            if said := _notify(one, blocks[one.name], client):
                yield f"{one.name}: {said}"
        for gone in [one for one in _read_listed_deployments(client) if one.name not in made]:
            if prune:
                client.delete_deployment(gone.id)
                _notify(DataSet(name=gone.name, operation=Operation(), options={}), None, client)
            yield f"{gone.name}: " + ("removed" if prune else "is not listed any more; --prune removes it")


def _read_listed_deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """Return the deployments on the server that a list made, however many there are."""
    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=[LISTED]))
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(deployment_filter=wanted, limit=_PAGE, offset=len(found)):
        found += page
    return found


def _make_deployment(one: DataSet, client: SyncPrefectClient) -> RunnerDeployment:
    """Return the deployment that an entry asks for."""
    operation = one.operation
    where = f"data set {one.name}"
    try:
        client.read_work_pool(operation.pool)
    except ObjectNotFound as error:
        fix = f"make it with `prefect work-pool create {operation.pool} --type process`"
        raise InputError(f"there is no work pool '{operation.pool}'", where=where, fix=fix) from error
    if operation.timezone not in available_timezones():
        fix = "write it as in Europe/Berlin, or UTC"
        raise InputError(f"no time zone '{operation.timezone}'", where=where, fix=fix)
    try:
        schedule = (
            CronSchedule(cron=operation.schedule, timezone=operation.timezone) if operation.schedule else None
        )
    except ValueError as error:
        what = f"no schedule: '{operation.schedule}' in time zone '{operation.timezone}'"
        fix = 'write minute, hour, day, month and weekday, such as schedule: "0 2 * * *"'
        raise InputError(what, where=where, fix=fix) from error
    owner = [f"owner:{operation.owner}"] if operation.owner else []
    deployment = clean_labels.to_deployment(
        one.name,
        schedules=[schedule] if schedule else [],
        paused=operation.paused,
        parameters={"parameters": {"wait": _WAIT_SECONDS, **one.options}},
        tags=[LISTED, "labelsweep", f"dataset:{one.name}", *owner],
        description=f"Sweeps data set {one.name}" + (f"; {operation.owner} answers for it" if owner else ""),
        concurrency_limit=1,
        version=version("labelsweep"),
        work_pool_name=operation.pool,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    if not isinstance(deployment, RunnerDeployment):
        raise TypeError(f"not a deployment: {deployment}")
    return deployment


def _bring_up_to_date(wanted: RunnerDeployment, operation: Operation, client: SyncPrefectClient) -> str:
    """Make or change one deployment; say what that changed. Without `paused` the switch in the UI stays as it is."""
    try:
        found = client.read_deployment_by_name(wanted.full_name)
    except ObjectNotFound:
        wanted.apply()
        return f"made as {wanted.full_name}, {_say_when(_describe_wanted(wanted, operation))}"
    was, is_now = _state(found), _describe_wanted(wanted, operation)
    if operation.paused is None and was["paused"] and was["schedule"] != is_now["schedule"]:
        is_now["paused"] = False
    gone = sorted(was.keys() - is_now.keys() - {"paused"})
    changed = [name for name in is_now if was.get(name) != is_now[name]] + gone
    if not changed:
        return f"unchanged, {_say_when({**is_now, 'paused': _is_paused(found)})}"
    # Only what changed is sent: a schedule that is sent again would be active again, whoever paused it.
    fields: dict[str, Any] = {
        "tags": wanted.tags,
        "work_pool_name": wanted.work_pool_name,
        "description": wanted.description,
        "version": wanted.version,
        "parameter_openapi_schema": wanted._parameter_openapi_schema.model_dump(exclude_unset=True),
    }
    if "paused" in changed:
        fields["paused"] = is_now["paused"]
    parameters = {"parameters": _list_options(wanted)}
    client.update_deployment(found.id, DeploymentUpdate(parameters=parameters, **fields))
    if "schedule" in changed:
        for schedule in found.schedules:
            client.delete_deployment_schedule(found.id, schedule.id)
        client.create_deployment_schedules(
            found.id, [(one.schedule, True) for one in wanted.schedules or [] if one.schedule]
        )
    return "; ".join(
        f"{name} {_format_value(was.get(name))} → {_format_value(is_now.get(name))}" for name in changed
    )


def _is_paused(found: DeploymentResponse) -> bool:
    """Return whether somebody has switched off the deployment, or all schedules that it has."""
    return found.paused or (bool(found.schedules) and not any(one.active for one in found.schedules))


def _describe_wanted(wanted: RunnerDeployment, operation: Operation) -> dict[str, Any]:
    """Return what is compared of the deployment that an entry asks for."""
    state: dict[str, Any] = {
        "schedule": _describe_schedules(one.schedule for one in wanted.schedules or []),
        "version": wanted.version,
        "pool": wanted.work_pool_name,
        "tags": sorted(wanted.tags),
    }
    return _list_options(wanted) | state | ({} if operation.paused is None else {"paused": operation.paused})


def _list_options(wanted: RunnerDeployment) -> dict[str, Any]:
    """Return the options of the sweeps, as JSON has them."""
    return dict(wanted.model_dump(mode="json", include={"parameters"})["parameters"]["parameters"])


def _state(found: DeploymentResponse) -> dict[str, Any]:
    """Return the same of a deployment on the server."""
    return dict(found.parameters.get("parameters") or {}) | {
        "schedule": _describe_schedules(one.schedule for one in found.schedules),
        "version": found.version,
        "pool": found.work_pool_name,
        "tags": sorted(found.tags),
        "paused": found.paused,
    }


def _describe_schedules(schedules: Iterable[object]) -> list[str]:
    """Return expression and time zone of each schedule, in words; an interval made in the UI has no expression."""
    return [f'"{getattr(one, "cron", None)}" {getattr(one, "timezone", None)}' for one in schedules]


def _say_when(state: dict[str, Any]) -> str:
    return ("paused, " if state.get("paused") else "") + (
        " and ".join(state["schedule"]) or "without a schedule"
    )


def _format_value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _block(one: DataSet, client: SyncPrefectClient) -> UUID | None:
    """Return the id of the notification block that an entry names.

    Raises:
        InputError: There is none.
    """
    if one.operation.notify is None:
        return None
    kind, _, name = one.operation.notify.block.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        what = f"there is no notification block '{one.operation.notify.block}' on the Prefect server"
        fix = "make it in the UI (Blocks), or with its Python class and `.save(name)`"
        raise InputError(what, where=f"data set {one.name}: notify", fix=fix) from error


def _notify(one: DataSet, block: UUID | None, client: SyncPrefectClient) -> str:
    """Make the automations that tell of a data set, and remove those that do not any more; say what that changed."""
    wanted = one.operation.notify.on if one.operation.notify else ()
    changed = False
    key = one.make_parameters().data_set if wanted else one.name
    for kind in KINDS:
        name = f"labelsweep {one.name}: {kind}"
        found = client.read_automations_by_name(name)
        if block is None or kind not in wanted:
            for automation in found:
                client.delete_automation(automation.id)
            changed |= bool(found)
        elif not found:
            client.create_automation(_make_automation(name, key, kind, block))
            changed = True
        elif _select_compared(found[0]) != _select_compared(made := _make_automation(name, key, kind, block)):
            client.update_automation(found[0].id, made)
            changed = True
    if not changed:
        return ""
    return (
        f"tells {one.operation.notify.block} of: {', '.join(wanted)}"
        if one.operation.notify
        else "tells nobody any more"
    )


def _make_automation(name: str, data_set: str, kind: str, block: UUID) -> AutomationCore:
    """Return the automation that tells a block of one kind of event of a data set."""
    if kind == "flagged":
        match: dict[str, Any] = {"prefect.resource.id": "labelsweep.run.*", DATA_SET_LABEL: data_set}
        trigger = EventTrigger(match=match, expect={FLAGGED}, posture=Posture.Reactive, threshold=1)
    else:
        related = {"prefect.resource.id": f"prefect.tag.dataset:{data_set}"}
        # A run that the gate stopped has failed, too.
        names = ("Failed", GATE) if kind == "failed" else ("Crashed",)
        expect = {f"prefect.flow-run.{name}" for name in names}
        trigger = EventTrigger(match_related=related, expect=expect, posture=Posture.Reactive, threshold=1)
    says = _SAYS["flagged" if kind == "flagged" else "failed"]
    action = SendNotification(block_document_id=block, subject=f"labelsweep {data_set}: {kind}", body=says)
    return AutomationCore(name=name, trigger=trigger, actions=[action])


def _select_compared(automation: AutomationCore) -> dict[str, Any]:
    """Return what two automations are compared by."""
    return automation.model_dump(
        mode="json",
        include={
            "trigger": {"match", "match_related", "expect"},
            "actions": {"__all__": {"block_document_id", "subject", "body"}},
        },
    )
