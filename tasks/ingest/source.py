"""Where the data lies: a file or a folder of parts, here or behind any fsspec URL, or a bundled sample."""

import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from fsspec.implementations.local import LocalFileSystem

from tasks.addresses import check_no_secret, open_address
from tasks.error_lines import is_lost_connection
from tasks.errors import InputError, StoreError, list_names
from tasks.ingest.compression import ARCHIVES, split_compression
from tasks.ingest.formats import format_of_suffix, list_readable_suffixes
from tasks.queries import parse_query
from tasks.storage import hash_file

T = TypeVar("T")

IMAGE_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"),
    *(".avif", ".heic", ".heif"),
}

# The data that come with the code.
SAMPLES = ("digits",)

# What file systems and servers say of a file that is another where the file is: a tag, a checksum, or when it was written.
_STAMPS = (
    *("ETag", "etag", "Content-MD5", "Digest", "LastModified", "Last-Modified", "last_modified"),
    *("mtime", "modify", "modificationTime", "blob_id", "sha", "created"),
)

_held: ContextVar[dict[object, Any] | None] = ContextVar("held", default=None)


@contextmanager
def remember_sources() -> Iterator[None]:
    """Look only once at what lies at a source, and ask a database only once, in the enclosed block.

    A run is of one state of its data, whatever changes meanwhile, and a store is listed once.
    """
    held = _held.get()
    token = _held.set({} if held is None else held)
    try:
        yield
    finally:
        _held.reset(token)


def look_once(key: object, look: Callable[[], T]) -> T:
    """Return what `look` returns; what it returned before for the same key within `remember_sources`."""
    held = _held.get()
    if held is None:
        return look()
    if key not in held:
        held[key] = look()
    found: T = held[key]
    return found


@dataclass(frozen=True)
class Part:
    """One file of a source.

    Attributes:
        filesystem: Where it lies.
        path: Its path there.
        shown: How a person names it.
        archive: The archive that it lies in, if it does.
        encoding: Python's name of the encoding of its text; None where nobody named one.
        sheet: The sheet of a spreadsheet, if one is named.
        form: The format that its first bytes say, where its name says none.
    """

    filesystem: Any
    path: str
    shown: str
    archive: "Part | None" = None
    encoding: str | None = None
    sheet: str = ""
    form: str | None = None

    @property
    def local(self) -> bool:
        """Whether the file lies on this machine."""
        return isinstance(self.filesystem, LocalFileSystem)

    @property
    def kind(self) -> str | None:
        """Return the format that the file's suffix names, or else its first bytes; None where neither does."""
        return format_of_name(self.path) or self.form

    @property
    def compression(self) -> str:
        """Return the suffix of the compression that the name says, such as `.gz`; empty where there is none."""
        return split_compression(strip_query(self.path))[1]

    @property
    def plain_name(self) -> str:
        """Return the path in lower case, without the suffix of a compression."""
        return split_compression(strip_query(self.path).lower())[0]

    @cached_property
    def size(self) -> int | None:
        """Size in bytes, None where the server does not say."""
        return cast("int | None", self.filesystem.info(self.path).get("size"))

    def problem(self, what: str, *, fix: str = "write or download the file again") -> InputError:
        """Return the error about this file."""
        return InputError(what, where=self.shown, fix=fix)

    def open(self) -> BinaryIO:
        """Open the file's bytes."""
        return cast("BinaryIO", self.filesystem.open(self.path, "rb"))

    def read_beside(self, name: str) -> bytes:
        """Return the bytes of a file that is named relative to the folder of this one."""
        if "://" in name:
            with explain_access_errors(name):
                filesystem, path = open_address(name)
            return cast("bytes", filesystem.cat_file(path))
        base = self.path.rsplit("/", 1)[0]
        target = name if name.startswith("/") and self.local else f"{base}/{name}"
        return cast("bytes", self.filesystem.cat_file(target))

    def fingerprint(self) -> list[object]:
        """Return what changes when the file changes; it is read only where a server says nothing of it."""
        if self.archive is not None:
            return [self.shown, *self.archive.fingerprint()]
        info = self.filesystem.info(self.path)
        if self.local:
            stamp = str(Path(self.path).stat().st_mtime_ns)
        else:
            stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "") or self._content_digest
        return [self.shown, info.get("size"), stamp]

    @cached_property
    def _content_digest(self) -> str:
        with self.filesystem.open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def digest(self) -> str:
        """Return a digest of the file: of its bytes where it lies here, of what the store says of it otherwise."""
        if self.local:
            return hash_file(Path(self.path))
        if self.archive is not None:
            info = self.filesystem.info(self.path)
            return hashlib.sha256(f"{info['file_size']} {info['CRC']}".encode()).hexdigest()
        return hashlib.sha256(json.dumps(self.fingerprint()).encode()).hexdigest()


def format_of_name(path: str) -> str | None:
    """Return the format that a file name's suffix stands for.

    >>> format_of_name("cats.csv.gz"), format_of_name("cats.parquet"), format_of_name("cats.docx")
    ('csv', 'parquet', None)
    """
    name, compression = split_compression(strip_query(path).lower())
    return format_of_suffix(PurePosixPath(name).suffix, compressed=bool(compression))


def split_sheet(uri: str) -> tuple[str, str]:
    """Return the file of a spreadsheet and the sheet that is named behind it, empty where none is.

    >>> split_sheet("pets.xlsx#Sheet 2"), split_sheet("a#b.csv")
    (('pets.xlsx', 'Sheet 2'), ('a#b.csv', ''))
    """
    file, mark, sheet = uri.rpartition("#")
    return (file, sheet) if mark and format_of_name(file) == "excel" else (uri, "")


def is_image_file(path: str) -> bool:
    """Return whether a file's name says that it is an image.

    >>> is_image_file("cats/one.JPG"), is_image_file("cats.csv")
    (True, False)
    """
    return PurePosixPath(path.lower()).suffix in IMAGE_SUFFIXES


def locate(uri: str) -> list[Part]:
    """Return the files that `uri` stands for, in the order of their names.

    Args:
        uri: A path, an fsspec URL, or `sample:NAME`.

    Raises:
        InputError: There is nothing there, nothing readable, or a package is missing to reach it.
    """
    check_no_secret(uri)
    if uri.startswith("sample:"):
        sample = sample_path(uri.removeprefix("sample:"))
        return [Part(LocalFileSystem(), str(sample), uri)]
    if parse_query(uri):
        from tasks.ingest.formats.sql import query_part  # noqa: PLC0415 (builds on this module)

        found = query_part(uri)
        return [found] if found else []
    from tasks.ingest.folder import open_source_folder  # noqa: PLC0415 (a folder is made of parts)

    if folder := open_source_folder(uri):
        return folder.parts
    file, sheet = split_sheet(uri)
    with explain_access_errors(uri):
        filesystem, path = open_address(file)
    part = Part(filesystem, path, uri, sheet=sheet)
    if part.kind is None:
        from tasks.ingest.contents import detect_format  # noqa: PLC0415 (builds on this module)

        with explain_access_errors(uri):
            part = replace(part, form=detect_format(part))
    if part.kind is None:
        raise _make_unreadable_error(part)
    return [part]


def sample_path(name: str) -> Path:
    """Return the file of a bundled sample: in the installed package, or in the checkout around this code.

    >>> sample_path("digits").name
    'digits.parquet'
    """
    if name not in SAMPLES:
        there = ", ".join(f"sample:{sample}" for sample in SAMPLES)
        raise InputError(f"no bundled sample '{name}'", where=f"sample:{name}", fix=f"choose one of: {there}")
    here = Path(__file__)
    for folder in (here.parent / "samples", here.parents[2] / "data"):
        if (path := folder / f"{name}.parquet").is_file():
            return path
    raise InputError("the bundled file is missing", where=f"sample:{name}", fix="install labelsweep again")


def _make_unreadable_error(part: Part) -> InputError:
    """Return the error about a file of a type that is not read: what it is, and what to do."""
    with explain_access_errors(part.shown), part.open() as opened:
        head = opened.read(16)
    if head.startswith(b"SQLite format 3"):
        from tasks.ingest.formats.sql import list_tables  # noqa: PLC0415 (builds on this module)

        tables = list_tables(part.path)
        query = f"'sqlite:///{part.shown}?query=SELECT * FROM {tables[0] if tables else 'pets'}'"  # noqa: S608 (shown, not run)
        several = f" with the tables {list_names(tables)}" if len(tables) > 1 else ""
        return part.problem(f"an SQLite database{several}", fix=f"name a query: {query}")
    suffix = PurePosixPath(split_compression(strip_query(part.path))[0]).suffix
    if suffix.lower() in ARCHIVES:
        return part.problem(
            f"archives of type '{suffix}{part.compression}' are not read",
            fix="unpack it and name the file or folder, or pack it as .zip",
        )
    suffix += part.compression
    named = f"unknown file type '{suffix}'" if suffix else "the file name has no suffix that tells its type"
    return part.problem(named, fix=f"convert it to (or name it) {list_readable_suffixes()}")


def make_short_name(uri: str, name: str | None = None) -> str:
    """Return the short name of a data set: lower case, digits and dashes.

    Args:
        name: What the user calls it, if anything.

    >>> make_short_name("s3://bucket/My Cats (2).csv.gz"), make_short_name("sample:digits"), make_short_name("train.csv", "Pets")
    ('my-cats-2', 'digits', 'pets')
    """
    # 40 characters keep a run id that contains the name readable in a table.
    text = (name or _name_source(uri)).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:40].strip("-") or "data"


def _name_source(uri: str) -> str:
    if query := parse_query(uri):
        uri = query.name
    file, sheet = split_sheet(uri)
    name = PurePosixPath(strip_query(file).removeprefix("sample:").rstrip("/")).name
    if format_of_name(name) or name.lower().endswith(".zip"):
        name = split_compression(name.lower())[0].rsplit(".", 1)[0]
    return f"{name} {sheet}"


def digest_files(uri: str) -> str:
    """Return a digest of the names, sizes and times of a source's files: it changes when a file does."""
    with explain_access_errors(uri):
        stamps = look_once(("stamps", uri), lambda: [part.fingerprint() for part in locate(uri)])
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


@contextmanager
def explain_access_errors(where: str) -> Iterator[None]:
    """Turn what only the user can put right about reaching a file into InputError, a failing store into StoreError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError("no such file or folder", where=where, fix="check the path") from error
    except PermissionError as error:
        raise InputError(
            "cannot be read: permission denied",
            where=where,
            fix="check the file's permissions or your credentials",
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise InputError(
                "a symbolic link leads back to itself", where=where, fix="name the file itself"
            ) from error
        numbered = isinstance(error, OSError) and error.errno is not None
        if "://" not in where or not (numbered or is_lost_connection(error)):
            raise
        raise StoreError(
            f"cannot be reached ({type(error).__name__}: {error})"[:300],
            where=where,
            fix="check address, credentials and connection; then run the same command again",
        ) from error


def strip_query(path: str) -> str:
    """Drop the query of a web address, which may hold a token and hides the suffix."""
    return urlsplit(path).path if path.startswith(("http://", "https://")) else path
