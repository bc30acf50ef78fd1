"""How a file of text writes each class: learned from its rows, and compared with the labels that were swept."""

from tasks.apply.corrected import Corrected


class WrittenLabels:
    """Looks at the label of each row, in order, before anything is written.

    Args:
        corrected: The labels that were swept, and what changes.

    Attributes:
        forms: How each class is written where it occurs first.
    """

    def __init__(self, corrected: Corrected) -> None:
        self.forms: dict[str, str] = {}
        self._corrected = corrected
        self._given = corrected.given_labels()
        self._next = next(self._given, None)
        self._labels: dict[str, str] = {}
        self._rows = 0

    def see(self, written: str) -> None:
        """Look at the next row.

        Raises:
            InputError: Its label is not the one that was swept.
        """
        if self._next is not None and self._next[0] == self._rows:
            label = self._next[1]
            if self._labels.get(written) != label:
                self._learn(written, label)
            self._next = next(self._given, None)
        self._rows += 1

    def finish(self) -> None:
        """Raise InputError where there are more rows, or fewer, than were swept."""
        self._corrected.check_count(self._rows)

    def _learn(self, written: str, label: str) -> None:
        """Take note of how a class is written; what is written in one way stands for one class."""
        if written in self._labels or not _is_written_so(written, label):
            raise self._corrected.source_changed()
        self._labels[written] = label
        self.forms.setdefault(label, written)


def _is_written_so(written: str, label: str) -> bool:
    """Return whether a value may have been read as a label: the same text but for blanks around it, or the same number.

    >>> _is_written_so(" cat", "cat"), _is_written_so("1.0", "1"), _is_written_so("dog", "cat")
    (True, True, False)
    """
    if written.strip() == label.strip():
        return True
    try:
        return float(written) == float(label)
    except ValueError:
        return False
