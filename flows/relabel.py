"""The second half of the loop: decisions become a new version of the data set, and the gain a number.

Requires: a finished run with decisions on its queue. It runs in process, on a worker (`apply-review/on-demand`), by the event
that the review page sends when the queue is finished, or out of the sweep itself, which waits for the review when asked to.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed, Running
from pydantic import BaseModel, BeforeValidator, Field

from flows.platform.artifacts import MAX_ROWS, escape, format_cell
from flows.platform.flow_run import ask_server, run_or_fail, stay_cancelled
from flows.platform.worker import choose_worker_results, is_fixed_place
from flows.results import Results
from tasks.addresses import make_no_secret_pattern
from tasks.apply.correct import Applied, plan_for
from tasks.apply.gain import Gain, write_and_measure_plan
from tasks.apply.messages import describe_gain, plan_text
from tasks.apply.plan import Plan
from tasks.records import Record
from tasks.review.ledger import Rule
from tasks.runs.request import read_data_set_key
from tasks.terminal import write_one_line

# A person answers when they have time, and a flow without a worker only sleeps meanwhile: it asks this often whether they have.
_ASK_EVERY_S = 5


class ApplyParameters(BaseModel):
    """Which decisions to apply, and how.

    >>> ApplyParameters(run="cats-20260101").title.split(",")[0]
    'cats-20260101'
    """

    run: str | None = Field(
        None, description="id of a run in the results folder (default: the newest finished one)"
    )
    out: Annotated[str, BeforeValidator(str)] = Field(
        "data",
        description="folder of the results, or an address such as s3://bucket/prefix",
        json_schema_extra={"pattern": make_no_secret_pattern()},
    )
    conflicts: Rule = Field(
        "majority", description="which answer counts where reviewers differ; the rest is left out"
    )
    gain: bool = Field(default=True, description="refit and measure what the corrections are worth")
    copy_images: bool = Field(
        default=False,
        description="copy a folder of images or texts with its corrections, beside the list of moves",
    )

    @property
    def title(self) -> str:
        """Name of the flow run, another one for each: what is applied, and when."""
        return f"{self.run or 'newest run'}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


class Relabeled(Record):
    """What was applied; no folder where no decision changes a label."""

    run: str
    folder: Path | None
    is_new: bool
    changes: int
    left_out: int
    gain: Gain | None

    def write_headline(self) -> str:
        """Say it in one line."""
        if self.folder is None:
            return "nothing to apply: no decision changes a label"
        known = "" if self.is_new else ", as before"
        measured = self.gain.accuracy if self.gain else None
        gained = f", accuracy {100 * measured.gain:+.1f} points" if measured else ""
        return f"{self.changes:,} changes in {self.folder.name}{known}{gained}"


@flow(
    name="apply-review",
    flow_run_name="{parameters.title}",
    persist_result=False,
    result_serializer="json",
    on_crashed=[stay_cancelled],
)
def apply_review(parameters: ApplyParameters) -> Relabeled | State[object]:
    """Write a new version of the data set from the decisions of the review, refit, and measure the gain.

    Nothing is changed in place, and the same decisions again find their version as it is.
    """
    return run_or_fail(lambda: _apply(parameters))


def _apply(parameters: ApplyParameters) -> State[object]:
    # Results that nobody named are not a conflict with those that the run is in.
    named = parameters.out if "out" in parameters.model_fields_set else None
    if not is_fixed_place(parameters.run or "") and not is_fixed_place(named or ""):
        named = choose_worker_results(named or "", get_run_logger().info)
    results = Results(named or None, parameters.run)
    folder = results.run()
    results.fetch_decisions()
    results.fetch_versions()
    plan = plan_changes(folder, results.out, parameters.conflicts)
    applied, gain = write_and_measure(
        folder, results.out, plan, measure=parameters.gain, copy_images=parameters.copy_images
    )
    if applied.folder:
        results.publish_versions(applied.folder)
    ask_server(lambda: _publish(folder, plan, applied, gain))
    done = Relabeled(
        run=folder.name,
        folder=applied.folder,
        is_new=applied.is_new,
        changes=len(plan.changes),
        left_out=len(plan.left_out),
        gain=gain,
    )
    return Completed(message=done.write_headline(), data=done)


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_changes(run: Path, out: Path, rule: Rule) -> Plan:
    """Work out what the decisions change."""
    return plan_for(run, out, rule)


@task(name="apply", cache_policy=NO_CACHE, persist_result=False)
def write_and_measure(
    run: Path, out: Path, plan: Plan, *, measure: bool, copy_images: bool = False
) -> tuple[Applied, Gain | None]:
    """Write the corrected version and measure what it is worth."""
    return write_and_measure_plan(run, out, plan, measure=measure, copy_images=copy_images)


def _publish(folder: Path, plan: Plan, applied: Applied, gain: Gain | None) -> None:
    """Show in the Prefect UI what was applied."""
    run, data_set = folder.name, read_data_set_key(folder)
    parts = [plan_text(plan), applied.write_sentence().strip(), describe_gain(gain) if gain else ""]
    blocks = "\n\n".join(f"~~~text\n{part.replace('~~~', '~ ~')}\n~~~" for part in parts if part)
    create_markdown_artifact(markdown=f"# {escape(run)}\n\n{blocks}\n", key=f"{data_set}-applied")
    changes = [
        {
            "sample_id": format_cell(one.sample_id),
            "change": one.kind,
            "old_label": format_cell(one.old_label or ""),
            "new_label": format_cell(one.new_label or ""),
            "reviewers": format_cell(", ".join(one.reviewers)),
        }
        for one in plan.changes[:MAX_ROWS]
    ]
    create_table_artifact(
        table=changes,
        key=f"{data_set}-changes",
        description=f"Changes by the review of {escape(run)}, at most {MAX_ROWS:,} of them",
    )


class ReviewAnswer(RunInput):
    """The form that a paused sweep shows in the Prefect UI."""

    action: Literal["apply now", "apply later", "reject"] = Field(
        "apply now",
        description="apply now: a new version from the decisions so far; apply later: end, and leave them for "
        "`labelsweep apply`; reject: end as rejected, nothing is applied",
    )
    conflicts: Rule = Field(
        "majority", description="which answer counts where reviewers differ; the rest is left out"
    )
    comment: str = Field("", description="why, for whoever reads this run later")


_INVITATION = """\
**{queued:,} samples wait for a look.** Serve them with

    labelsweep review {run} --out {out}

and answer here when the review is done. Nothing is changed in place.
"""


def _end_as_asked() -> None:
    """Let a flow run whose pause ran out end as it wants: Prefect would have it fail."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(str(flow_run.id)), Running(), force=True)


def _suspend_for_answer(form: type[ReviewAnswer], seconds: float) -> ReviewAnswer:
    """Suspend the running flow, or return the answer where it continues with one."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        raise RuntimeError("only a flow run can be suspended")
    # Prefect's heartbeats end with the final state of a run. One after the news that it is suspended would be taken for the last
    # sign of a run that was lost.
    before, run.state = run.state, Completed()
    answer = suspend_flow_run(wait_for_input=form, timeout=int(seconds), key="review")
    run.state = before
    return answer


def wait_for_review(run: Path, out: str, queued: int, seconds: float, result: object) -> State[object]:
    """Pause the running flow until somebody answers the form; act on the answer.

    On a worker the run is suspended: its process ends, others have the slot, and the answer starts it again from the top.

    Args:
        out: Folder or address of the results that it belongs to.
        seconds: How long to wait.
        result: What the flow returns, whatever the answer.

    Returns:
        The state in which the flow ends.
    """
    form = ReviewAnswer.with_initial_data(
        description=_INVITATION.format(queued=queued, run=run.name, out=write_one_line(out))
    )
    try:
        if deployment.id:
            answer = _suspend_for_answer(form, seconds)
        else:
            answer = pause_flow_run(wait_for_input=form, timeout=int(seconds), poll_interval=_ASK_EVERY_S)
    except FlowPauseTimeout:
        _end_as_asked()
        message = f"nobody answered; labelsweep apply {run.name} applies the decisions"
        return Completed(name="ReviewPending", message=message, data=result)
    said = f" ({answer.comment})" if answer.comment else ""
    if answer.action == "reject":
        message = f"the review was rejected, nothing was applied{said}"
        return Completed(name="Rejected", message=message, data=result)
    if answer.action == "apply later":
        message = f"labelsweep apply {run.name} applies the decisions{said}"
        return Completed(name="ApplyLater", message=message, data=result)
    parameters = ApplyParameters(run=run.name, out=out, conflicts=answer.conflicts)
    applied = apply_review(parameters, return_state=True)
    if not applied.is_completed():
        return Failed(message=f"the decisions were not applied: {applied.message}")
    return Completed(name="Applied", message=f"{applied.message}{said}", data=result)
