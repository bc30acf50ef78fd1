"""The command `serve-reports`: the reports of past runs as web pages, for links in Prefect's UI."""

import os
import secrets
import sys

from flows.commands.common import OutWithoutRun, note
from flows.commands.review import Host, Port, Token, format_address

# Where the command serves, in the environment of whoever runs flows: their artifacts then link to the reports.
ADDRESS_VARIABLE = "LABELSWEEP_REPORTS"


def serve_reports(
    *,
    out: OutWithoutRun = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    token: Token = None,
) -> None:
    """Serve the reports of past runs, on this machine alone unless told otherwise; Prefect's UI links to them."""
    from flows.results import Results  # noqa: PLC0415
    from tasks.review.page.reports import create_reports  # noqa: PLC0415
    from tasks.review.page.web import guard_for, is_local, listen, serve  # noqa: PLC0415

    if not is_local(host):
        token = token or secrets.token_urlsafe(18)
    opened = listen(host, port)
    address = format_address(host, opened.getsockname()[1], token)
    app = create_reports(Results(out).out.absolute(), guard_for(host, token))

    def started() -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        linked = os.environ.get(ADDRESS_VARIABLE)
        how = f"set {ADDRESS_VARIABLE} to this address where flows run, and Prefect's UI links to them"
        note("serving reports" + ("" if linked else f"; {how}"))

    serve(app, opened, started)
