"""Flow runs that lost their process: whoever goes on with their folder says so in Prefect's database.

A worker's run that falls silent is found by the heartbeat automation (`deploy/automations.yaml`). A run in a process of its own
ends together with its server, so that nobody hears it fall silent: the run that takes over marks it as crashed.
"""

import re
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.storage import write_json

_FLOW_RUNS = "flow_runs.json"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def take_over(folder: Path) -> None:
    """Note that the current flow run works in `folder`; mark those that did before and never ended as crashed."""
    path = folder / _FLOW_RUNS
    # The file may be damaged: what looks like an id is one, and the server knows its own.
    earlier = _ID.findall(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []
    current = str(flow_run.id)
    others = [run for run in earlier if run != current]
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run) for run in others]))
        for run in client.read_flow_runs(flow_run_filter=wanted) if others else []:
            if run.state is not None and not run.state.is_final():
                message = f"It lost its process; flow run {current} goes on with it."
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    write_json([*others, current], path)
