"""Prepare a Prefect server for labelsweep: work pools, deployments, automations. Safe to run again: it changes what differs.

    python -m flows.platform.setup            when the server is healthy, set it up and say where its UI is
    python -m flows.platform.setup --wait     return when somebody else has done so

`make serve` runs both before it starts the workers.
"""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import PREFECT_UI_URL, get_current_settings

from flows.platform.notifications import make_notifications
from flows.platform.record import record_runs
from tasks.addresses import work_folder
from tasks.errors import LabelsweepError

POOLS = {
    "cpu": "Cleaning runs: ingest, validation, queue, report",
    "gpu": "Training and attribution: one run per GPU",
}
DEPLOYMENTS = (
    "clean-labels/nightly",
    "clean-labels/on-demand",
    "fit/gpu",
    "apply-review/on-demand",
    "digest/weekly",
)

# A new database is migrated first, which takes 9 s on two idle cores and several times that beside other work.
HEALTHY_SECONDS = 120.0
READY_SECONDS = 300.0

# Where the environment says how long an automation waits.
_SECONDS = {
    "labelsweep-lost-runs": "LABELSWEEP_LOST_AFTER",
    "labelsweep-lost-cancellations": "LABELSWEEP_LOST_AFTER",
    "labelsweep-lost-submissions": "LABELSWEEP_UNSTARTED_AFTER",
    "labelsweep-retry-crashed": "LABELSWEEP_RETRY_AFTER",
}


def find_configuration(name: str) -> Path:
    """Return `prefect.yaml` or a file of automations: of the installed package, or of the checkout around this code.

    >>> find_configuration("prefect.yaml").name
    'prefect.yaml'
    """
    here = Path(__file__)
    places = (here.with_name(name), here.parents[2] / name, here.parents[2] / "deploy" / name)
    return next(place for place in places if place.is_file())


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    try:
        wait_until_healthy(HEALTHY_SECONDS)
        if "--wait" in arguments:
            wait_until_ready(READY_SECONDS)
            return 0
        out = os.environ.get("LABELSWEEP_OUT") or "data"
        set_up(out if "://" in out else str(Path(out).absolute()))
    except LabelsweepError as error:
        sys.stderr.write(f"labelsweep: error: {error}\n")
        return error.exit_code
    sys.stdout.write(
        f"labelsweep is ready: {PREFECT_UI_URL.value() or find_api_url().removesuffix('/api')}\n"
    )
    sys.stdout.flush()
    return 0


def find_api_url() -> str:
    """Return the address of the server.

    Raises:
        LabelsweepError: None is set.
    """
    url = get_current_settings().api.url
    if url is None:
        raise LabelsweepError(
            "no Prefect server is named", where="PREFECT_API_URL", fix="set it to http://127.0.0.1:4200/api"
        )
    return url


def wait_until_healthy(seconds: float) -> None:
    """Return when the server answers.

    Raises:
        LabelsweepError: It did not in time.
    """
    address = find_api_url()
    deadline = time.monotonic() + seconds
    with get_client(sync_client=True) as client:
        while error := client.api_healthcheck():
            if time.monotonic() > deadline:
                raise LabelsweepError(
                    f"the server is not healthy after {seconds:g} s ({error})",
                    where=address,
                    fix="see its log",
                ) from error
            time.sleep(0.5)


def wait_until_ready(seconds: float) -> None:
    """Return when pools and deployments are there.

    Raises:
        LabelsweepError: They were not in time.
    """
    deadline = time.monotonic() + seconds
    with get_client(sync_client=True) as client:
        while missing := _list_missing(client):
            if time.monotonic() > deadline:
                raise LabelsweepError(
                    f"not there after {seconds:g} s: {', '.join(missing)}", where=find_api_url()
                )
            time.sleep(1)


def _list_missing(client: SyncPrefectClient) -> list[str]:
    pools = {pool.name for pool in client.read_work_pools()}
    flows = {flow.id: flow.name for flow in client.read_flows()}
    deployments = {f"{flows.get(found.flow_id)}/{found.name}" for found in client.read_deployments()}
    return [name for name in (*POOLS, *DEPLOYMENTS) if name not in pools | deployments]


def set_up(out: str) -> None:
    """Make pools, deployments and automations, and record the runs that were made without a server.

    Args:
        out: Folder of the results, or their address.

    Raises:
        LabelsweepError: A deployment was refused.
    """
    with get_client(sync_client=True) as client:
        known = {pool.name for pool in client.read_work_pools()}
        for name in POOLS.keys() - known:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", description=POOLS[name]))
        told, silent = make_notifications(find_configuration("notifications.yaml"))
        ours = yaml.safe_load(find_configuration("automations.yaml").read_text())["automations"]
        for values in (*ours, *told):
            _install(client, values)
        for name in silent:
            for found in client.read_automations_by_name(name):
                client.delete_automation(found.id)
    _deploy(out)
    record_runs(work_folder(out) if "://" in out else Path(out), out)


def _install(client: SyncPrefectClient, values: dict[str, Any]) -> None:
    """Make an automation, or make the one of its name what it should be."""
    automation = AutomationCore.model_validate(values)
    seconds = os.environ.get(_SECONDS.get(automation.name, ""))
    if seconds and hasattr(automation.trigger, "within"):
        automation.trigger.within = timedelta(seconds=float(seconds))
    found = client.read_automations_by_name(automation.name)
    if found:
        client.update_automation(found[0].id, automation)
    else:
        client.create_automation(automation)


def _deploy(out: str) -> None:
    file = find_configuration("prefect.yaml")
    # Set but empty, the cpu worker fits: that is for a stack without a gpu worker.
    fit_by = os.environ.get("LABELSWEEP_GPU_DEPLOYMENT", "fit/gpu")
    done = subprocess.run(  # noqa: S603 (Prefect's own command, by this interpreter)
        [sys.executable, *["-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"], str(file)],
        env={**os.environ, "LABELSWEEP_OUT": out, "LABELSWEEP_GPU_DEPLOYMENT": fit_by},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise LabelsweepError(f"a deployment was refused ({' '.join(last[-3:])})", where=str(file))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
