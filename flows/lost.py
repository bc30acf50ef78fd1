"""Flow runs that lost their process: whoever goes on with their folder says so in Prefect's database.

A worker's run that falls silent is found by the heartbeat automation (`deploy/automations.yaml`). A run in a process of its own
ends together with its server, so that nobody hears it fall silent: the run that takes over marks it as crashed.
"""

from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.storage import read_json, write_json

_FLOW_RUNS = "flow_runs.json"


def take_over(folder: Path) -> None:
    """Note that the current flow run works in `folder`; mark those that did before and never ended as crashed."""
    path = folder / _FLOW_RUNS
    try:
        earlier: list[str] = [str(UUID(run)) for run in read_json(path)]
    # A new folder, or one in which the file was damaged.
    except (OSError, ValueError, TypeError, AttributeError):
        earlier = []
    current = str(flow_run.id)
    with get_client(sync_client=True) as client:
        for run in earlier:
            try:
                state = client.read_flow_run(UUID(run)).state
                if run != current and state is not None and not state.is_final():
                    message = f"It lost its process; flow run {current} goes on with it."
                    client.set_flow_run_state(UUID(run), Crashed(message=message), force=True)
            except PrefectException:  # another server's, or forgotten by this one
                continue
    write_json([*(run for run in earlier if run != current), current], path)
