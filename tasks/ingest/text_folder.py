"""A folder of texts as a table: one file is one text, and the label is the name of its class folder."""

from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.folder import Folder, make_unreadable_error
from tasks.ingest.images.folder import ClassFolderReader, open_class_folders
from tasks.ingest.images.layout import infer_layout
from tasks.ingest.source import Part, explain_access_errors
from tasks.ingest.text.lines import detect_wide_encoding

# Files that are looked at before all are read: evenly spread, so that several classes are among them.
_LOOKED_AT = 20
# Share of a text's characters, but for blanks, that are letters; of tables of numbers fewer are.
_LETTERS = 0.5


def open_texts(folder: Folder, encoding: str | None) -> tuple[ClassFolderReader, ...]:
    """Return the reader of a folder of texts; none where it is no such folder.

    Args:
        encoding: Encoding of all files; None: UTF-8, or else that of western Europe.

    Raises:
        InputError: The files are no texts.
    """
    if not folder.texts:
        return ()
    parts = {folder.relative(part): part for part in folder.texts}
    some = list(parts.values())[:: max(1, len(parts) // _LOOKED_AT)]
    if sum(_is_prose(_read_text(part, encoding)) for part in some) < len(some) / 2:
        raise make_unreadable_error(list(parts), folder.base.shown)
    layout = infer_layout(list(parts))
    return (open_class_folders(folder, layout, "text", partial(_read_texts, parts, encoding)),)


def _read_texts(parts: dict[str, Part], encoding: str | None, files: Sequence[str]) -> pa.Array:
    return pa.array([_read_text(parts[file], encoding) for file in files], pa.string())


def _read_text(part: Part, encoding: str | None) -> str:
    with explain_access_errors(part.shown), part.open() as file:
        content = file.read()
    known = encoding or detect_wide_encoding(content[:64])
    for name in [known] if known else ["utf-8-sig", "cp1252", "latin-1"]:
        try:
            return content.decode(name)
        except UnicodeDecodeError as error:
            failure = error
    raise InputError(
        f"it is not {known}: {failure.reason} at byte {failure.start:,}",
        where=part.shown,
        fix="name another encoding with --encoding",
    )


def _is_prose(text: str) -> bool:
    r"""Return whether a text is none of numbers or bytes.

    >>> _is_prose("Not bad at all."), _is_prose("0.13 2.5e-3\n1.2 7.1"), _is_prose("PK\x00\x01")
    (True, False, False)
    """
    shown = [character for character in text[:4_096] if not character.isspace()]
    letters = sum(character.isalpha() for character in shown)
    return "\x00" not in text and letters >= _LETTERS * len(shown) > 0
