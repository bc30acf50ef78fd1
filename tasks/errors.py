"""The one exception family: what is wrong, where, and what to do about it, in one line for a person."""

import difflib
from collections.abc import Iterable, Sequence

from tasks.terminal import blank_controls


class LabelsweepError(Exception):
    """Base of every error that a user can cause; the command line prints it as one line.

    Args:
        what: What is wrong, with the value that is wrong.
        where: File, column, row or option it was found in.
        fix: What the user can do.

    >>> str(InputError("no column 'lable'", where="cats.csv", fix="choose one of: id, label"))
    "cats.csv: no column 'lable'; choose one of: id, label"
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        line = (f"{where}: " if where else "") + what + (f"; {fix}" if fix else "")
        super().__init__(blank_controls(line))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.what, self.where, self.fix))


def _rebuild(kind: type[LabelsweepError], what: str, where: str, fix: str) -> LabelsweepError:
    return kind(what, where=where, fix=fix)


class InputError(LabelsweepError):
    """The user's input or an option is wrong (exit code 2); no run folder is left behind."""

    exit_code = 2


class StoreError(LabelsweepError):
    """A store or a server does not answer (exit code 2); the same command continues when it does again."""

    exit_code = 2


class TooMuchNoise(LabelsweepError):  # noqa: N818 (the outcome of a gate, named as users read it)
    """More labels are likely wrong than the gate allows (exit code 4); the run is complete."""

    exit_code = 4


class ValidationFailed(LabelsweepError):  # noqa: N818 (the outcome of a step, named as users read it)
    """The data failed validation beyond the tolerance (exit code 3); the run folder says why."""

    exit_code = 3


def take_first_line(error: BaseException, most: int) -> str:
    """Return the first line of what a library says of an error, at most so many characters; its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:most]


def find_close_name(name: str, known: Iterable[str]) -> str | None:
    """Return which of some names was probably meant, None where none is like it.

    >>> find_close_name("lable", ["id", "label"]), find_close_name("x", ["id", "label"])
    ('label', None)
    """
    names = {other.lower().strip(): other for other in known}
    close = difflib.get_close_matches(name.lower().strip(), names, n=1)
    return names[close[0]] if close else None


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return which of some names was probably meant, or else which there are.

    >>> suggest_name("lable", ["id", "label"]), suggest_name("x", ["id", "label"])
    ("did you mean 'label'?", "choose from: 'id', 'label'")
    """
    known = list(known)
    close = find_close_name(name, known)
    return f"choose from: {list_names(known)}" if close is None else f"did you mean '{close}'?"


def list_names(names: Sequence[str]) -> str:
    """Name some columns or classes: a person needs a few to recognise the data, not a thousand."""
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown


def name_first_three(names: Sequence[str]) -> str:
    """Name the first three: enough to know what kind of names they are."""
    return list_names(names[:3]) + (", …" if len(names) > 3 else "")
