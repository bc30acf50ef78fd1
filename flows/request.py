"""What a run is asked for, from the parameters that a person gave and the source as it is now."""

import hashlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from flows.config import CleanParameters
from tasks.encode.encoder_digest import describe_encoders
from tasks.errors import LabelsweepError
from tasks.ingest.source import digest_files
from tasks.options import AuditOptions
from tasks.runs.request import AskedFor, Request
from tasks.storage import hash_file

# Parameters that decide where, when or whether a run works, and not what it finds.
_NOT_ASKED_FOR = frozenset(
    [
        "resume",
        "publish",
        "force",
        "max_noise",
        "track",
        "metrics",
        "wait",
        "wait_for_review",
        "review_timeout",
        "gpu_deployment",
        "gpu_timeout",
        "out",
    ]
)


def _list_user_files(parameters: CleanParameters) -> Iterator[Path]:
    """Yield the files beside the source that decide what a run finds."""
    if parameters.expectations is not None:
        yield parameters.expectations
    module, colon, _ = parameters.model.partition(":")
    if colon:
        # As Python finds it, without importing it: what a package imports may take seconds.
        name = module.replace(".", "/")
        yield from (
            Path(folder) / file
            for folder in ("", *sys.path)
            for file in (f"{name}.py", f"{name}/__init__.py")
        )


def _digest_file(path: Path) -> str:
    return hash_file(path) if path.is_file() else ""


def make_request(parameters: CleanParameters) -> Request:
    """Return what `parameters` ask for, of the source as it is now."""
    source = parameters.make_source().uri
    # Controls change no score, but they are in the report, and somebody who asks for more of them wants to see those.
    unasked = _NOT_ASKED_FOR | AuditOptions.indifferent - {"controls"}
    # The file of another day is the same data set: its digest tells whether anything changed.
    if parameters.name:
        unasked |= {"source"}
    text = parameters.model_copy(update={"source": source}).model_dump_json(exclude=set(unasked))
    # An extra that was installed since, or a new version of its weights, is a new model.
    text += describe_encoders(parameters.encoder)
    # So are a file of expectations, and the user's own model, in which something was changed.
    text += "".join(map(_digest_file, _list_user_files(parameters)))
    try:
        files = digest_files(source)
    except (LabelsweepError, OSError):
        files = ""  # the ingest step says what is wrong, or tries again where that can help
    asked = AskedFor(
        data_set=parameters.data_set,
        parameters=hashlib.sha256(text.encode()).hexdigest(),
        source=files,
        version=version("labelsweep"),
    )
    return Request(
        asked,
        parameters.short_name,
        parameters.out,
        parameters.write_replayable(),
        parameters.resume,
        parameters.force,
    )
