"""What a source stands for: a file of today among dated ones, a corrected version of a data set, an absolute path."""

import glob
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.addresses import open_address
from tasks.errors import LabelsweepError
from tasks.json_objects import parse_object
from tasks.queries import make_query_absolute

# What stands for the date in the name of a source, and how a date is written: by day, or by month, with a time or without.
DATE = "{date}"
_DATE = (
    r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?\d\d[-_.:]?\d\d(?:[-_.:]?\d\d)?Z?)?)?"
)


def find_dated(source: str) -> dict[str, str] | None:
    """Return the parameters for a source with `{date}` in it: the newest file, and the name that all of them share.

    Args:
        source: What the user named, such as `exports/pets-{date}.csv`; the same date may be in it twice.

    Returns:
        None where there is no `{date}` in it. Where no file is found, or the store does not answer, the source stays as it is:
        the sweep says what is wrong.
    """
    if DATE not in source:
        return None
    from tasks.ingest.source import make_short_name  # noqa: PLC0415 (only a dated source needs it)

    folder, _, file = make_absolute(source).rstrip("/").rpartition("/")
    named = source if re.search(r"\w", file.replace(DATE, "").split(".")[0]) else folder
    found = {"source": source, "name": make_short_name(named.replace(DATE, ""))}
    with suppress(LabelsweepError, OSError):
        filesystem, path = open_address(source)
        first, *others = map(re.escape, path.split(DATE))
        pattern = re.compile(f"{first}({_DATE})" + r"\1".join(others))
        dates = [
            match[1]
            for name in filesystem.glob("*".join(map(glob.escape, path.split(DATE))))
            if (match := pattern.fullmatch(str(name).rstrip("/")))
        ]
        if dates:
            found["source"] = source.replace(
                DATE, max(dates, key=lambda date: (re.sub(r"\D", "", date), date))
            )
    return found


def read_version_parameters(source: str) -> dict[str, Any] | None:
    """Return the parameters for a version of a data set, as `labelsweep apply` writes it: its file, name and columns.

    Args:
        source: What the user named; only the version's folder is one, also by way of `latest`.
    """
    if "://" in source:
        return _read_version_on_store(source.rstrip("/"))
    lineage = Path(source).resolve() / "version.json"
    if source.startswith("sample:") or not lineage.is_file():
        return None
    return _read_version_columns(
        lineage.read_text(encoding="utf-8"), str(lineage.with_name("dataset.parquet"))
    )


def _read_version_on_store(address: str) -> dict[str, Any] | None:
    """Return the same for a version on an object store."""
    found = re.fullmatch(r"(.+/datasets/[^/]+)/(v\d{4,}|latest)", address)
    if found is None:
        return None
    from tasks.runs.remote import read_there  # noqa: PLC0415 (only where there is a store)

    data_set, label = found.groups()
    if label == "latest":
        label = (read_there(address) or b"").decode(errors="replace").strip()
    lineage = read_there(f"{data_set}/{label}/version.json") if label else None
    if lineage is None:
        return None
    return _read_version_columns(lineage.decode(), f"{data_set}/{label}/dataset.parquet")


def _read_version_columns(lineage: str, source: str) -> dict[str, Any] | None:
    version = parse_object(lineage)
    if not isinstance(version.get("columns"), dict) or "name" not in version:
        return None  # somebody else's file, of a name that many programs use
    return {"source": source, "name": version["name"], **version["columns"]}


def make_absolute(source: str) -> str:
    """Return a local path as an absolute one; leave URLs and `sample:` names alone.

    >>> make_absolute("sample:digits"), make_absolute("s3://bucket/cats.parquet")
    ('sample:digits', 's3://bucket/cats.parquet')
    """
    if "://" in source:
        return make_query_absolute(source)
    return source if source.startswith("sample:") else str(Path(source).absolute())
