"""What validation found, as files.

result.json is for programs and the report; suite.json and the Data Docs are as Great Expectations writes them.
"""

import copy
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tasks.storage import write_json
from tasks.validate.findings import EXAMPLES, Finding, make_context
from tasks.validate.messages import show_value
from tasks.validate.parts import read_numbered_rows

SUITE = "labelsweep"


def write_suite(findings: Sequence[Finding], final: Path) -> Path:
    """Write the suite as Great Expectations' own JSON, the same for the same checks."""
    return write_json(_make_suite(findings).to_json_dict(), final)


def describe_checks(findings: Sequence[Finding], source: Path) -> list[dict[str, Any]]:
    """Return each check with what it says, whether it holds, how many rows fail, and a few of them.

    Args:
        source: The data set with all rows, to name the examples.
    """
    failing = (finding.all_rows[:EXAMPLES].tolist() for finding in findings if not finding.success)
    wanted = np.array(sorted({row for rows in failing for row in rows}), np.int64)
    named = {
        row: cells
        for rows, table in read_numbered_rows(source, ["sample_id", "source_row"], wanted)
        for row, cells in zip(rows.tolist(), table.to_pylist(), strict=True)
    }
    return [_describe(finding, named) for finding in findings]


def _describe(finding: Finding, named: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    check = finding.check
    entry: dict[str, Any] = {
        "check": check.key,
        "says": check.says,
        "source": "user" if check.entry else "last run" if check.drift else "contract",
        "severity": check.severity,
        "success": finding.success,
        "rows": finding.elements - finding.missing,
        "unexpected": finding.unexpected,
        "type": check.kind,
        "columns": list(check.columns),
    }
    if finding.observed is not None:
        entry["observed"] = show_value(finding.observed)
    if not finding.success and len(finding.all_rows):
        few = zip(finding.all_rows[:EXAMPLES].tolist(), finding.explain(0, EXAMPLES), strict=True)
        entry["examples"] = [dict(named[row]) | {"reason": text} for row, text in few]
    return entry


def write_data_docs(findings: Sequence[Finding], final: Path) -> Path:
    """Write Great Expectations' own pages for the summed findings; return the index page.

    The pages are built beside and moved into place whole.
    """
    beside = final.with_name(f".{final.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)  # a killed run may have left it
    _build_site(findings, beside)
    beside.rename(final)
    return final / "index.html"


def _make_suite(findings: Sequence[Finding]) -> Any:  # noqa: ANN401 (Great Expectations is untyped here)
    import great_expectations as gx  # noqa: PLC0415 (2 s)

    return gx.ExpectationSuite(
        name=SUITE, expectations=[copy.copy(finding.check.expectation) for finding in findings]
    )


def _build_site(findings: Sequence[Finding], site: Path) -> None:
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier  # noqa: PLC0415
    from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    good = sum(finding.success for finding in findings)
    run = RunIdentifier(run_name="validate", run_time=datetime.now(UTC))
    whole = ExpectationSuiteValidationResult(
        success=good == len(findings),
        results=[_make_native_result(finding) for finding in findings],
        suite_name=SUITE,
        statistics={
            "evaluated_expectations": len(findings),
            "successful_expectations": good,
            "unsuccessful_expectations": len(findings) - good,
            "success_percent": 100 * good / len(findings),
        },
        meta={"run_id": run, "active_batch_definition": {"data_asset_name": "dataset"}},
    )
    context = make_context()
    context.suites.add(_make_suite(findings))
    identity = ExpectationSuiteIdentifier(SUITE)
    context.validation_results_store.set(ValidationResultIdentifier(identity, run, "dataset"), whole)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    context.add_data_docs_site(
        SUITE,
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": store,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    context.build_data_docs(site_names=[SUITE])


def _make_native_result(finding: Finding) -> Any:  # noqa: ANN401 (Great Expectations is untyped here)
    """Return a finding as Great Expectations' own result, with the counts of all parts."""
    from great_expectations.core import ExpectationValidationResult  # noqa: PLC0415

    seen = finding.elements - finding.missing
    few = finding.all_values.iloc[:EXAMPLES].itertuples(index=False, name=None)
    details: dict[str, Any] = {
        "element_count": finding.elements,
        "missing_count": finding.missing,
        "unexpected_count": finding.unexpected,
        "unexpected_percent": 100 * finding.unexpected / seen if seen else 0.0,
        "partial_unexpected_list": [", ".join(map(show_value, row)) for row in few],
    }
    if finding.unexpected and not finding.values:  # it was counted
        details["partial_unexpected_list"] = finding.explain(0, EXAMPLES)
    if finding.elements == 0:
        details = {"observed_value": finding.observed}
    return ExpectationValidationResult(
        success=finding.success,
        expectation_config=finding.check.expectation.configuration,
        result=details,
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
        meta={},
    )
