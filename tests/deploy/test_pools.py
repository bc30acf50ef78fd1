"""What Prefect's own workers make of the templates of the docker and kubernetes pools."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import kubernetes_validate
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect_docker.worker import DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

DEPLOY = Path(__file__).parents[2] / "deploy"


def _configuration(kind, name: str, **values: object):
    template = json.loads((DEPLOY / name).read_text())
    # No part of the templates refers to a block of the server, so none is asked.
    made = asyncio.run(
        kind.from_template_and_values(template, values, client=PrefectClient("http://127.0.0.1:9/api"))
    )
    made.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="pets 2026-11-29"))
    return made


@pytest.mark.parametrize(("pool", "gpus"), [("cpu", None), ("gpu", 1)])
def test_kubernetes_pool_makes_a_valid_restricted_job_with_the_shared_volume(pool: str, gpus: int | None):
    job = _configuration(KubernetesWorkerJobConfiguration, f"kubernetes/pool-{pool}.json").job_manifest
    kubernetes_validate.validate(job, "1.33", strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "labelsweep-results"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_kubernetes_pool_needs_no_claim_where_results_go_to_an_object_store():
    results = {"name": "results", "emptyDir": {}}
    job = _configuration(
        KubernetesWorkerJobConfiguration,
        "kubernetes/pool-cpu.json",
        results=results,
        env={"LABELSWEEP_OUT": "s3://team/labels"},
    ).job_manifest
    kubernetes_validate.validate(job, "1.33", strict=True)
    pod = job["spec"]["template"]["spec"]
    assert pod["volumes"][0] == results
    assert {"name": "LABELSWEEP_OUT", "value": "s3://team/labels"} in pod["containers"][0]["env"]


@pytest.mark.parametrize(("pool", "gpus"), [("cpu", None), ("gpu", 1)])
def test_docker_pool_runs_read_only_with_the_results_and_asks_for_gpus(pool: str, gpus: int | None):
    made = _configuration(DockerWorkerJobConfiguration, f"docker/pool-{pool}.json")
    assert made.volumes == ["labelsweep_results:/data"]
    assert made.env["PREFECT_API_URL"] == "http://server:4200/api"
    assert made.container_create_kwargs["read_only"]
    requests = made.container_create_kwargs.get("device_requests", [])
    assert [request["count"] for request in requests] == ([gpus] if gpus else [])
