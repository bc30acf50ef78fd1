"""The week's digest: what each data set's sweeps found, what people decided of it, and how its noise develops.

Requires: the results folder; of results on a store, the machine that sweeps. It runs on a worker (`digest/weekly`) and ends in an
artifact and in the event `labels.digest`, which the notifications send on.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from pydantic import BaseModel, Field

from flows.platform.artifacts import escape
from flows.platform.flow_run import run_or_fail
from flows.platform.worker import choose_worker_results
from flows.results import Results
from tasks.review.digest import Week, format_digest, make_digest


class DigestParameters(BaseModel):
    """Which results, and how many days of them."""

    out: str = Field("data", description="folder of the results, or an address such as s3://bucket/prefix")
    days: Annotated[int, Field(ge=1, description="days that the digest looks back")] = 7


@flow(
    name="digest",
    flow_run_name="digest of {parameters.days} days",
    persist_result=False,
    result_serializer="json",
)
def digest(parameters: DigestParameters) -> list[Week] | State[object]:
    """Tell what the sweeps of the last days found and what people decided."""
    return run_or_fail(lambda: _collect_weeks(parameters))


def _collect_weeks(parameters: DigestParameters) -> list[Week]:
    results = Results(choose_worker_results(parameters.out, get_run_logger().info))
    results.fetch_decisions()
    since = datetime.now(UTC) - timedelta(days=parameters.days)
    weeks = make_digest(results.out, since)
    text = format_digest(weeks)
    lines = "\n".join(f"- {escape(line)}" for line in text.splitlines())
    create_markdown_artifact(markdown=f"# Since {since:%Y-%m-%d}\n\n{lines}\n", key="labelsweep-digest")
    found = sum(week.flagged for week in weeks)
    emit_event(
        "labels.digest",
        resource={"prefect.resource.id": "labelsweep.digest"},
        payload={
            "subject": f"{len(weeks)} data sets, {found:,} new flags since {since:%Y-%m-%d}",
            "text": text,
        },
    )
    return weeks
