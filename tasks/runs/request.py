"""What a run is asked for: made once, when the run begins, and passed on."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tasks.records import Record

REQUEST = "request.json"


class AskedFor(Record):
    """What decides a run's results, as `request.json` keeps it.

    Attributes:
        data_set: Key of the data set: two sources of one name at two addresses are two data sets.
        parameters: Digest of the parameters that decide the results.
        source: Digest of names, sizes and times of the source's files; empty where they could not be told.
    """

    data_set: str
    parameters: str
    source: str
    version: str


@dataclass(frozen=True)
class Request:
    """What a run is asked for.

    Attributes:
        name: Short name of the data set, with which the run's id begins.
        config: The parameters as YAML that replays the run.
        resume: Id of the unfinished run that is to be resumed; None for that which was asked for the same, or a new one.
        force: Whether the run begins even if nothing changed, and takes nothing over from earlier runs.
    """

    asked: AskedFor
    name: str
    out: Path
    config: str
    resume: str | None = None
    force: bool = False

    def is_of(self, folder: Path) -> bool:
        """Return whether the run in `folder` was asked for the same, of the same files."""
        return bool(self.asked.source) and read_asked(folder) == self.asked


def read_asked(folder: Path) -> AskedFor | None:
    """Return what the run in `folder` was asked for, None where it does not say."""
    path = folder / REQUEST
    return parse_asked(path.read_bytes()) if path.is_file() else None


def read_data_set_key(folder: Path) -> str:
    """Return the key of the data set that the run in `folder` swept; the run's id where it does not say."""
    asked = read_asked(folder)
    return asked.data_set if asked else folder.name


def parse_asked(content: bytes) -> AskedFor | None:
    """Return what the bytes of a `request.json` say, None where they do not say it."""
    try:
        return AskedFor.model_validate_json(content)
    except ValidationError:
        return None
