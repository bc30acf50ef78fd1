"""Whatever is sent to the page, by its own OpenAPI description or against it, is answered: never by a server error."""

import os
from collections.abc import Iterator
from itertools import product

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from review_server import Client, Served, served
from run_folder import wine_run
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode

# Requests to each operation; docs/results/review-api.md has what more of them found.
EXAMPLES = int(os.environ.get("LABELSWEEP_SCHEMA_EXAMPLES", "6"))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Served]:
    out = tmp_path_factory.mktemp("schema")
    with served(wine_run(out), out, control_share=0.0) as one:
        yield one


def test_no_request_makes_a_server_error(page: Served):
    sent = send_everything(page, EXAMPLES)
    assert len(sent) == 25
    for operation, statuses in sent.items():
        print(operation, *sorted(statuses))  # noqa: T201 (what a long campaign keeps)
    assert all(statuses for statuses in sent.values())
    assert 200 in sent["POST /api/decide"] | sent["POST /api/decide-many"] | sent["POST /api/undo"]


def test_row_number_beyond_the_log_s_own_is_refused(page: Served):
    client = Client(page.address, "Ada")
    for since in (2**63, -(2**70)):
        status, _, text = client.request("GET", f"/api/progress?since={since}")
        assert (status, "since" in text) == (422, True)


def send_everything(page: Served, examples: int) -> dict[str, set[int]]:
    """Send random requests to every operation, right and wrong ones; return the statuses that came back.

    Raises:
        Exception: There was a server error; it shows the request.
    """
    schema = schemathesis.openapi.from_dict(page.app.openapi())
    client = Client(page.address, "Ada")
    headers = {"x-csrf-token": client.csrf}
    seen: dict[str, set[int]] = {}
    for found, mode in product(
        schema.get_all_operations(), (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ):
        operation = found.ok()
        seen.setdefault(operation.label, set())
        if mode is GenerationMode.NEGATIVE and not _takes_anything(operation):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def send(case):
            response = case.call(
                base_url=page.address,
                headers={**(case.headers or {}), **headers},
                cookies={**(case.cookies or {}), **client.cookies},
                allow_redirects=False,
            )
            seen[case.operation.label].add(response.status_code)
            case.validate_response(response, checks=[not_a_server_error])

        send()
    return seen


def _takes_anything(operation) -> bool:
    """Return whether a request of this operation can be wrong."""
    return bool(list(operation.iter_parameters()) or list(operation.body))
