"""Tell the format of a file by its first bytes, where its name says none."""

import zipfile

from tasks.ingest.reading import HEAD, describe_bytes
from tasks.ingest.source import Part

_BEGINNINGS = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"ORC": "orc",
}
# Bytes of a text that are looked at: a table has several lines.
_LOOKED_AT = 4096


def detect_format(part: Part) -> str | None:
    """Return the format of a file that its bytes tell: a binary one, JSON, or a table in plain text; else None."""
    from tasks.ingest.text.lines import is_plain_text, open_text  # noqa: PLC0415 (takes a while)

    with part.open() as file:
        head = file.read(HEAD)
        if head.startswith(b"PK\x03\x04"):
            return _detect_archive(file.name if part.local else "")
    binary = next((form for beginning, form in _BEGINNINGS.items() if head.startswith(beginning)), None)
    if binary or (describe_bytes(head) and not part.compression):
        return binary
    with open_text(part) as text:
        start = text.read(_LOOKED_AT)
    if not is_plain_text(start) or start.lstrip().startswith(b"<"):
        return None
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "json"
    return "plain" if max(start.count(b"\n"), start.count(b"\r")) > 1 else None


def _detect_archive(path: str) -> str | None:
    """Return the format of a zip archive: a workbook, or arrays that numpy saved together."""
    if not path:
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "xl/workbook.xml" in names or "xl/workbook.bin" in names:
        return "excel"
    return "npz" if names and all(name.endswith(".npy") for name in names) else None
