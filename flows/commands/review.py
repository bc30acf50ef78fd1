"""The command `review`: the page on which people decide."""

import secrets
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.common import Out, Run, find_run, note
from tasks.errors import LabelsweepError

if TYPE_CHECKING:
    from flows.results import Results
    from tasks.review.queue import ReviewQueue

TOKEN_VARIABLE = "LABELSWEEP_REVIEW_TOKEN"  # noqa: S105 (the name of a variable)


Reviewer = Annotated[str | None, typer.Option(metavar="NAME", help="who reviews (default: the page asks)")]
Host = Annotated[str, typer.Option(help="address to listen on; beyond this machine a token is asked for")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="port (default: 8765, or a free one)")]
Token = Annotated[
    str | None, typer.Option(help="token to ask for (default: a new one)", envvar=TOKEN_VARIABLE)
]
SecondOpinion = Annotated[
    float,
    typer.Option(metavar="SHARE", min=0, max=1, help="share of samples that two reviewers decide, blind"),
]
HideSuggestion = Annotated[
    bool, typer.Option("--hide-suggestion", help="the second reviewer sees no suggestion")
]
Controls = Annotated[
    float,
    typer.Option(metavar="SHARE", min=0, max=0.5, help="share of planted controls that check the reviewer"),
]
Worth = Annotated[
    float,
    typer.Option(metavar="SHARE", min=0.001, max=0.999, help="share of wrong labels from which looking pays"),
]
Guideline = Annotated[
    Path | None, typer.Option(metavar="FILE", help="labelling guideline, shown on the page")
]


def review(
    run: Run = None,
    *,
    out: Out = None,
    reviewer: Reviewer = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    token: Token = None,
    second_opinion: SecondOpinion = 0.0,
    hide_suggestion: HideSuggestion = False,
    controls: Controls = 0.05,
    worth: Worth = 0.05,
    guideline: Guideline = None,
    open_browser: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
) -> None:
    """Serve the review page, on this machine alone unless told otherwise.

    Without RUN it shows all that is open of a data set: what its newest run queued, then what earlier nights showed and nobody
    has decided on. With the id of a run it shows the queue of that run.
    """
    from flows.results import Results  # noqa: PLC0415
    from tasks.review.page.web import create_app, guard_for, is_local, listen, serve  # noqa: PLC0415
    from tasks.review.state import ReviewOptions  # noqa: PLC0415
    from tasks.user_files import read_user_text  # noqa: PLC0415

    results = Results(out, run)
    folder = find_run(results, run)
    results.fetch_decisions()
    if not is_local(host):
        token = token or secrets.token_urlsafe(18)
    options = ReviewOptions(
        second_opinion=second_opinion,
        hide_suggestion=hide_suggestion,
        worth=worth,
        guideline=read_user_text(guideline, "name a text file").strip() if guideline else "",
    )
    opened = listen(host, port)
    app = create_app(
        folder,
        results.out,
        options=options,
        reviewer=reviewer,
        control_share=controls,
        guard=guard_for(host, token),
        when_finished=partial(_finish, folder, results),
        with_open=results.is_of_data_set(folder),
    )
    address = address_of(host, opened.getsockname()[1], token)

    def started() -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        what = f"{folder.name}{_count(app.state.site.queue)}"
        note(f"reviewing {what}; Ctrl-C ends it, every decision is saved")
        if open_browser:
            typer.launch(address)

    with results.publishing(note):
        serve(app, opened, started)


def _count(queue: "ReviewQueue") -> str:
    """Say how many samples are new, changed or still open; nothing where the run does not say."""
    seen = Counter(item.seen for item in queue.items if item.seen and not item.is_control)
    return f" ({', '.join(f'{count:,} {name}' for name, count in sorted(seen.items()))})" if seen else ""


def _finish(folder: Path, results: "Results") -> None:
    """Say that the queue is finished, here and to Prefect where a server is named."""
    from flows.platform.events import announce_reviewed  # noqa: PLC0415

    with suppress(LabelsweepError):  # tried again when the review ends
        results.publish_decisions()
    note(f"every sample is decided; labelsweep apply {folder.name} --out {results.name} makes a new version")
    announce_reviewed(folder, results.name)


def address_of(host: str, port: int, token: str | None) -> str:
    """Return what a browser on this machine opens.

    >>> address_of("0.0.0.0", 8765, "secret"), address_of("::1", 80, None)
    ('http://127.0.0.1:8765/?token=secret', 'http://[::1]:80/')
    """
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 (compared)
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
