"""The command `review`: the page on which people decide."""

import secrets
import socket
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.common import Out, Run, find_run_or_name_it, note
from tasks.errors import LabelsweepError

if TYPE_CHECKING:
    from flows.results import Results
    from tasks.review.queue import ReviewQueue

TOKEN_VARIABLE = "LABELSWEEP_REVIEW_TOKEN"  # noqa: S105 (the name of a variable)


Reviewer = Annotated[str | None, typer.Option(metavar="NAME", help="who reviews (default: the page asks)")]
Host = Annotated[str, typer.Option(help="address to listen on; other machines need a token")]
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
    typer.Option(
        metavar="SHARE",
        min=0,
        max=0.5,
        help="share of reviewer checks: samples with known answers among the others",
    ),
]
Worth = Annotated[
    float,
    typer.Option(
        metavar="SHARE", min=0.001, max=0.999, help="smallest share of wrong labels for which reviewing pays"
    ),
]
Guideline = Annotated[
    Path | None, typer.Option(metavar="FILE", help="labelling guideline, shown on the page")
]


Assign = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="deal the queue to Ada,Bo,… or as a YAML file says, also by class"),
]
OwnKeys = Annotated[Path | None, typer.Option("--keys", metavar="FILE", help="YAML file with your own keys")]

Audio = Annotated[
    str | None, typer.Option(metavar="COL", help="column that names sound files, which the page plays")
]
AudioFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="folder that their paths start from (default: that of the source)"),
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
    assign: Assign = None,
    keys: OwnKeys = None,
    audio: Audio = None,
    audio_folder: AudioFolder = None,
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
    folder = find_run_or_name_it(results, run)
    results.fetch_decisions()
    if not is_local(host):
        token = token or secrets.token_urlsafe(18)
    options = ReviewOptions(
        second_opinion=second_opinion,
        hide_suggestion=hide_suggestion,
        worth=worth,
        guideline=read_user_text(guideline, "name a text file").strip() if guideline else "",
        **_read_data_set_options(folder, assign, keys, audio, audio_folder),
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
    address = format_address(host, opened.getsockname()[1], token)

    seen = f"{folder.name}{_count(app.state.site.queue)}"
    started = partial(_say_started, address, seen, open_browser=open_browser)
    with results.publish_meanwhile(note):
        serve(app, opened, started)


def _say_started(address: str, what: str, *, open_browser: bool) -> None:
    """Print the address, now that it can be opened."""
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    note(f"reviewing {what}; Ctrl-C ends it, every decision is saved")
    if open_browser:
        typer.launch(address)


def _read_data_set_options(
    folder: Path, assign: str | None, keys: Path | None, audio: str | None, audio_folder: Path | None
) -> dict[str, Any]:
    """Return the options that speak of the classes and columns of the data set."""
    from tasks.review.assign import read_shares  # noqa: PLC0415
    from tasks.review.page.keys import read_keys  # noqa: PLC0415
    from tasks.review.page.sound import find_sound_folder  # noqa: PLC0415
    from tasks.runs.finished import read_dataset  # noqa: PLC0415

    dataset = read_dataset(folder)
    found: dict[str, Any] = {}
    if assign:
        found["shares"] = dict(read_shares(assign, dataset.offered))
    if keys:
        found["keys"], found["class_keys"] = read_keys(keys, dataset.offered)
    if audio:
        found["audio"] = audio
        found["audio_folder"] = find_sound_folder(audio, dataset.display_columns, dataset.uri, audio_folder)
    return found


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


def format_address(host: str, port: int, token: str | None) -> str:
    """Return what a browser opens: of a page that listens everywhere, an address that other machines reach too.

    >>> format_address("127.0.0.1", 8765, "secret"), format_address("::1", 80, None)
    ('http://127.0.0.1:8765/?token=secret', 'http://[::1]:80/')
    >>> "0.0.0.0" in format_address("0.0.0.0", 8765, None)
    False
    """
    shown = _find_own_address() if host in ("", "0.0.0.0", "::") else host  # noqa: S104 (compared)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def _find_own_address() -> str:
    """Return the address by which other machines reach this one, or its name where no network is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: nothing is sent
        except OSError:
            return socket.gethostname()
        address = str(probe.getsockname()[0])
    return socket.gethostname() if address.startswith("127.") else address
