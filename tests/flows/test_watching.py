"""A run that the command made without a server shows in the UI of one that is there later."""

import json
import shutil

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows.cli import run
from tasks.runs.checksums import is_run_intact


def test_a_run_without_a_server_is_recorded_once_when_there_is_one(demo, prefect_server, tmp_path, capsys):
    assert demo.exit_code == 0
    shutil.copytree(demo.out, tmp_path / "data", symlinks=True)
    assert run(["runs", "--record", "--out", str(tmp_path / "data")]) == 0
    said = capsys.readouterr().err.split()
    folder = (tmp_path / "data" / "runs" / "latest").resolve()
    assert said == ["labelsweep:", "recorded:", folder.name]
    (flow_run,) = json.loads((folder / "flow_runs.json").read_text())
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(flow_run)
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
        keys = {artifact.key.rpartition("-")[2] for artifact in client.read_artifacts(artifact_filter=wanted)}
    assert found.state_type.value == "COMPLETED"
    assert found.name.startswith("digits 20")
    assert {"queue", "steps", "summary"} <= keys
    assert is_run_intact(folder)
    assert run(["runs", "--record", "--out", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().err == ""
