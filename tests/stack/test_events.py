"""The events of labelsweep start deployments on the workers: the shipped trigger, and the example when it is switched on."""

import sys
from pathlib import Path

import pytest
from local_stack import Stack

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))

from review_server import Client, Process

from tasks.review.queue import load_queue
from tasks.storage import read_json

APPLY = "apply-review/on-demand"


@pytest.fixture(scope="module")
def flagged(stack: Stack, lost, request: pytest.FixtureRequest):
    """Sweep while the example automation is switched on; return the sweep and the run that its event started."""
    assert not stack.runs_of(APPLY)
    stack.switch("labelsweep-apply-after-sweep", on=True)
    sent = request.getfixturevalue("sent")
    (run,) = stack.wait(lambda: stack.runs_of(APPLY), 60)
    stack.switch("labelsweep-apply-after-sweep", on=False)
    return sent, stack.ended(run.id)


def test_example_automation_on_labels_flagged_fires_with_the_run_of_the_sweep(flagged):
    (_, _, folder), applied = flagged
    assert applied.parameters["parameters"] == {"run": folder.name, "out": str(folder.parents[1])}
    assert (applied.work_pool_name, applied.state.type.value) == ("cpu", "COMPLETED")
    assert applied.state.message == "nothing to apply: no decision changes a label"


def test_finished_review_starts_apply_review_on_a_worker_and_by_hand_it_finds_the_same(stack: Stack, flagged):
    (_, _, folder), earlier = flagged
    out = folder.parents[1]
    page = Process(str(out), folder.name, "--reviewer", "Ada", "--controls", "0", **stack.environment())
    try:
        client = Client(page.address, "Ada")
        for item in load_queue(folder).items:
            assert client.decide(item, "suggestion")[0] == 200
        runs = stack.wait(lambda: [run for run in stack.runs_of(APPLY) if run.id != earlier.id], 60)
    finally:
        page.kill()
    ended = stack.ended(runs[0].id)
    assert ended.state.is_completed(), ended.state.message
    version = read_json(out / "datasets" / "blobs" / "v0001" / "version.json")
    assert version["run"] == folder.name
    assert version["relabeled"] > 0
    by_hand = stack.submit(APPLY, run=folder.name, out=str(out))
    again = stack.ended(by_hand.id)
    assert again.state.is_completed()
    assert "changes in v0001, as before" in again.state.message
    assert not (out / "datasets" / "blobs" / "v0002").exists()
