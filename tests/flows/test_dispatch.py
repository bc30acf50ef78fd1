"""The fit sent to a worker that does not come, or that fails: the parent says which pool, and what to do."""

import threading
import time

import pytest
from flow_inputs import parquet
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.states import Completed, Crashed, Running

from flows.clean import clean_labels
from flows.config import CleanParameters
from flows.fit import fit_on_worker
from tasks.errors import InputError, LabelsweepError


@pytest.fixture(scope="module")
def lonely_pool(prefect_server):
    """Deploy the fit to a pool that no worker serves."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="lonely", type="process"))
        flow = client.create_flow(fit_on_worker)
        return client.create_deployment(flow_id=flow, name="lonely", work_pool_name="lonely")


@pytest.fixture
def parameters(tmp_path) -> CleanParameters:
    return CleanParameters(
        source=str(parquet(tmp_path)), out=tmp_path / "out", gpu_deployment="fit/lonely", gpu_timeout=0.5
    )


def children() -> list:
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=["gpu"]))
        return client.read_flow_runs(flow_run_filter=wanted)


def test_no_worker_in_time_names_the_pool_and_cancels_the_child(lonely_pool, parameters):
    with pytest.raises(LabelsweepError) as error:
        clean_labels(parameters)
    line = str(error.value)
    assert "no worker of pool 'lonely' picked up the fit within 0.5 s (none has ever been heard of)" in line
    assert "prefect worker start --pool lonely" in line
    (child,) = [run for run in children() if run.deployment_id == lonely_pool]
    assert child.state.is_cancelled()


def test_pool_that_is_paused_is_named_with_the_command_that_resumes_it(lonely_pool, parameters):
    with get_client(sync_client=True) as client:
        (queue,) = client.read_work_queues(work_pool_name="lonely")
        client.update_work_queue(queue.id, is_paused=True)
        with pytest.raises(
            LabelsweepError, match=r"queue 'default' is paused.*work-queue resume default --pool lonely"
        ):
            clean_labels(parameters)
        client.update_work_queue(queue.id, is_paused=False)
        client.update_work_pool("lonely", WorkPoolUpdate(is_paused=True))
        with pytest.raises(LabelsweepError, match=r"the pool is paused.*`prefect work-pool resume lonely`"):
            clean_labels(parameters)
        client.update_work_pool("lonely", WorkPoolUpdate(is_paused=False))


def test_pool_that_is_at_work_on_other_fits_is_told_apart_from_one_without_workers(lonely_pool, parameters):
    with get_client(sync_client=True) as client:
        other = client.create_flow_run_from_deployment(lonely_pool, state=Running())
        with pytest.raises(LabelsweepError, match=r"1 of its runs at work.*wait longer, or start another"):
            clean_labels(parameters)
        client.set_flow_run_state(other.id, Crashed(), force=True)


def test_child_that_crashed_is_sent_once_more_and_the_same_command_sends_another_one(lonely_pool, parameters):
    known = {run.id for run in children()}

    def crash_the_next_children():
        deadline, crashed = time.monotonic() + 60, set(known)
        with get_client(sync_client=True) as client:
            while len(crashed) < len(known) + 2 and time.monotonic() < deadline:
                for run in (run for run in children() if run.id not in crashed):
                    client.set_flow_run_state(run.id, Running(), force=True)
                    client.set_flow_run_state(run.id, Crashed(message="the power went"), force=True)
                    crashed.add(run.id)
                time.sleep(0.1)

    patient = parameters.model_copy(update={"gpu_timeout": 60.0})
    threading.Thread(target=crash_the_next_children, daemon=True).start()
    with pytest.raises(
        LabelsweepError, match=r"ended as Crashed on pool 'lonely' .the power went.*continues"
    ):
        clean_labels(patient)
    with pytest.raises(LabelsweepError, match="no worker of pool 'lonely'"):
        clean_labels(parameters)
    assert len({run.id for run in children()} - known) == 3
    (folder,) = (parameters.out / "runs").iterdir()
    assert (folder / "steps" / "validate.json").exists()


def test_run_that_is_resumed_with_other_options_does_not_take_the_fit_of_those_before(
    lonely_pool, parameters
):
    known, done = {run.id for run in children()}, threading.Event()

    def complete_the_next_child():
        with get_client(sync_client=True) as client:
            while not done.is_set():
                for run in (run for run in children() if run.id not in known):
                    client.set_flow_run_state(run.id, Completed(), force=True)
                    done.set()
                time.sleep(0.1)

    threading.Thread(target=complete_the_next_child, daemon=True).start()
    with pytest.raises(LabelsweepError, match=r"fitted\.json: was removed"):  # nobody has fitted anything
        clean_labels(parameters.model_copy(update={"gpu_timeout": 60.0}))
    done.set()
    (folder,) = (parameters.out / "runs").iterdir()
    for changed in ({}, {"rounds": 1}):
        with pytest.raises(LabelsweepError, match="no worker of pool 'lonely'"):
            clean_labels(parameters.model_copy(update={"resume": folder.name, **changed}))


def test_deployment_that_is_not_there_is_one_line(prefect_server, parameters):
    with pytest.raises(InputError, match=r"no deployment 'fit/nowhere'.*prefect deploy --all"):
        clean_labels(parameters.model_copy(update={"gpu_deployment": "fit/nowhere"}))
