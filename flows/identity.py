"""Which data set a run is of, and whether two runs were asked for the same.

The name of a data set is the one that the user gave, or that of the source; sources of one name at two addresses are two data
sets. A request is what decides a run's results: parameters, files of the source, version of the program.
"""

import hashlib
import re
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from flows.config import CleanParameters, absolute, data_set_name
from tasks.errors import LabelsweepError
from tasks.json_objects import read_object
from tasks.options import AuditOptions
from tasks.records import Record

REQUEST = "request.json"
FAILURE = "failure.json"

# Parameters that decide where, when or whether a run works, and not what it finds.
NOT_ASKED_FOR = frozenset(
    {
        "resume",
        "publish",
        "force",
        "max_noise",
        "wait",
        "wait_for_review",
        "review_timeout",
        "gpu_deployment",
        "gpu_timeout",
        "out",
    }
)

# A run that fails at the same place again and again is not gone on with for ever: then a new one starts.
MOST_FAILURES = 3


class Request(Record):
    """What a run was asked for.

    Attributes:
        data_set: Key of the data set.
        parameters: Digest of the parameters that decide the results.
        source: Digest of names, sizes and times of the source's files; empty where they could not be told.
        version: Version of labelsweep.
    """

    data_set: str
    parameters: str
    source: str
    version: str


def data_set_slug(parameters: CleanParameters) -> str:
    """Return the short name of the data set: lower case, digits and dashes.

    >>> data_set_slug(CleanParameters(source="My cats.csv"))
    'my-cats'
    """
    name = data_set_name(parameters.name or parameters.source).lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40].strip("-") or "data"


def data_set_key(parameters: CleanParameters) -> str:
    """Return what tells the data set from every other: its name, and where it was not given, the address too.

    >>> data_set_key(CleanParameters(source="a.csv", name="pets")), data_set_key(CleanParameters(source="sample:digits"))
    ('pets', 'digits-1e9935')
    """
    slug = data_set_slug(parameters)
    if parameters.name:
        return slug
    return f"{slug}-{hashlib.sha256(absolute(parameters.source).encode()).hexdigest()[:6]}"


def make_request(parameters: CleanParameters) -> Request:
    """Return what `parameters` ask for, of the source as it is now."""
    from tasks.ingest.source import fingerprint  # noqa: PLC0415 (only a run needs it, not the list of runs)

    asked = parameters.model_copy(update={"source": absolute(parameters.source)})
    # Controls change no score, but they are in the report, and somebody who asks for more of them wants to see those.
    unasked = NOT_ASKED_FOR | AuditOptions.indifferent - {"controls"}
    text = asked.model_dump_json(exclude=set(unasked))
    try:
        source = fingerprint(absolute(parameters.source))
    except (LabelsweepError, OSError):
        source = ""  # the ingest step says what is wrong, or tries again where that can help
    return Request(
        data_set=data_set_key(parameters),
        parameters=hashlib.sha256(text.encode()).hexdigest(),
        source=source,
        version=version("labelsweep"),
    )


def request_of(folder: Path) -> Request | None:
    """Return what the run in `folder` was asked for, None where it does not say."""
    path = folder / REQUEST
    return parse_request(path.read_bytes()) if path.is_file() else None


def parse_request(content: bytes) -> Request | None:
    """Return what the bytes of a `request.json` say, None where they do not say it."""
    try:
        return Request.model_validate_json(content)
    except ValidationError:
        return None


def same_request(folder: Path, request: Request) -> bool:
    """Return whether the run in `folder` was asked for the same, of the same files."""
    return bool(request.source) and request_of(folder) == request


def times_failed(folder: Path) -> int:
    """Return how often the run in `folder` has failed."""
    failure = read_object(folder / FAILURE)
    times = failure.get("times", 1)
    return times if failure and isinstance(times, int) else 0


def may_be_tried_again(folder: Path) -> bool:
    """Return whether a failed run may come further when it is gone on with: not where data or options were at fault."""
    may_pass = read_object(folder / FAILURE).get("may_pass")
    return bool(may_pass) and times_failed(folder) < MOST_FAILURES
