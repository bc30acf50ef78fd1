"""The command `status`: where the review of a run stands."""

import json
import shlex
import sys

from flows.commands.common import AsJson, Out, Run, find_run_or_name_it
from tasks.terminal import write_json_lines, write_lines


def status(run: Run = None, *, out: Out = None, json_: AsJson = False) -> None:
    """Say where the review of a run stands: open, answered, who answered, and what to do next."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.review.status import count_status  # noqa: PLC0415

    results = Results(out, run)
    folder = find_run_or_name_it(results, run)
    results.fetch_decisions()
    found = count_status(folder, results.out)
    if json_:
        sys.stdout.write(write_json_lines(json.dumps(found.as_json(), indent=2, ensure_ascii=False)) + "\n")
    else:
        sys.stdout.write(write_lines(found.describe(shlex.quote(results.name))))
