"""Read the answer to a query, which the address names (`tasks/queries.py`).

The answer is read once, in batches, into a temporary file that all passes over the rows read.
A run keeps one answer until it ends (`remember_sources`), so that no change meanwhile is seen half.
"""

import hashlib
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from tasks.addresses import redact
from tasks.errors import InputError, StoreError, take_first_line
from tasks.ingest.columns.values import convert_to_text
from tasks.ingest.reading import FileReader
from tasks.ingest.source import Part, look_once
from tasks.ingest.temporary_files import write_value
from tasks.queries import Query, parse_query

# No file has this format.
SUFFIXES: tuple[str, ...] = ()
GZIP, TYPED = False, True

# Rows that are asked for at a time.
_BATCH = 10_000
# Seconds that a database has to answer at all; libpq waits for ever.
_CONNECT_SECONDS = 10
_EXTRA = "pip install 'labelsweep[sql]'"


@dataclass(frozen=True)
class QueryAnswer(FileReader):
    """The rows that a query gave."""

    @cached_property
    def digest(self) -> str:
        """A digest of all rows, in whatever order the database gave them."""
        hashes = [
            hashlib.blake2b(repr(row).encode(errors="surrogatepass"), digest_size=16).digest()
            for batch in self.batches(self.schema.names, _BATCH)
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]
        return hashlib.sha256(b"".join([str(self.schema).encode(), *sorted(hashes)])).hexdigest()


@dataclass(frozen=True)
class QueryPart(Part):
    """The answer to a query, as the one part of a source."""

    @property
    def kind(self) -> str | None:
        """Return the format."""
        return "sql"

    @property
    def local(self) -> bool:
        """Whether the rows are a file of this machine, which they never are."""
        return False

    @cached_property
    def size(self) -> int | None:
        """Size in bytes, which nobody says."""
        return None

    @property
    def answer(self) -> QueryAnswer:
        """The rows: asked for now, or those that the run has already."""
        return look_once(("answer", self.shown), partial(_ask, self))

    def fingerprint(self) -> list[object]:
        """Return what changes when the rows change."""
        return [self.shown, self.answer.digest]


def query_part(uri: str) -> QueryPart | None:
    """Return the part that an address of a query stands for, None where it is the address of something else.

    Raises:
        InputError: It names no query, or a database file that is not there.
    """
    query = parse_query(uri)
    if query is None:
        return None
    if not query.sql:
        table = next(iter(list_tables(query.file or "")), "pets")
        fix = f"end it with ?query= and SQL, such as ?query=SELECT * FROM {table}"  # noqa: S608 (shown, not run)
        raise InputError("names no query", where=uri, fix=fix)
    if query.file and not Path(query.file).is_file():
        raise InputError(
            f"no such file '{query.file}'",
            where=uri,
            fix="check the path: three slashes before a relative one, four before an absolute one",
        )
    return QueryPart(LocalFileSystem(), query.name, uri)


def list_tables(file: str) -> list[str]:
    """Return the tables of an SQLite file, none where it is no such file."""
    with suppress(sqlite3.Error), closing(_open_read_only(file)) as connection:
        found = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
        )
        return [f'"{name}"' if re.search(r"\W", name) else name for (name,) in found]
    return []


def _open_read_only(file: str) -> sqlite3.Connection:
    """Open an SQLite file so that no query can write."""
    address = f"file:{quote(str(Path(file).absolute()))}?mode=ro"
    return sqlite3.connect(address, uri=True, check_same_thread=False)


def open_part(part: Part, as_text: frozenset[str]) -> QueryAnswer:  # noqa: ARG001 (a database has types of its own)
    """Ask the query.

    Raises:
        InputError: The database refuses the query or the user, the query gives no rows, or a package is missing.
        StoreError: The database does not answer.
    """
    return cast("QueryPart", part).answer


def _ask(part: QueryPart) -> QueryAnswer:
    """Run the query and keep its rows in a temporary file."""
    uri, query = part.shown, cast("Query", parse_query(part.shown))
    file = tempfile.NamedTemporaryFile(prefix="labelsweep-", suffix=".arrow")  # noqa: SIM115 (the answer keeps it)
    schema: pa.Schema | None = None
    with pa.OSFile(file.name, "wb") as sink:
        for batch in (
            _query_duckdb(query, uri) if query.database == "duckdb" else _query_sqlalchemy(query, uri)
        ):
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            schema = batch.schema if schema is None else _merge_schemas(schema, batch.schema)
    if schema is None:
        raise part.problem("the query gives no rows", fix="check the query")

    def scan(columns: list[str], _: int) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([schema.field(name) for name in columns])
        with pa.OSFile(file.name) as source:
            while source.tell() < source.size():
                for batch in pa.ipc.open_stream(source):
                    found = [_cast(batch.column(field.name), field.type) for field in wanted]
                    yield pa.RecordBatch.from_arrays(found, schema=wanted)

    return QueryAnswer(part, schema, scan, lambda row: f"row {row + 1} of the query")


def _query_duckdb(query: Query, uri: str) -> Iterator[pa.RecordBatch]:
    try:
        import duckdb  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise InputError("duckdb:// needs a package that is not installed", where=uri, fix=_EXTRA) from error
    try:
        with duckdb.connect(query.file or ":memory:", read_only=bool(query.file)) as connection:
            found = connection.sql(query.sql)
            if found is not None:
                yield from found.to_arrow_reader(_BATCH)
    except duckdb.Error as error:
        raise _make_database_error(uri, error, connected=True) from error


def _query_sqlalchemy(query: Query, uri: str) -> Iterator[pa.RecordBatch]:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: PLC0415 (takes a while)

    options: dict[str, Any] = {"stream_results": True, "no_parameters": True, "yield_per": _BATCH}
    if query.database.startswith("postgres"):
        options["postgresql_readonly"] = True
    engine, connected = None, False
    try:
        engine = _make_engine(query)
        with engine.connect() as connection:
            connected = True
            found = connection.execution_options(**options).exec_driver_sql(query.sql)
            names = list(found.keys())
            for rows in found.partitions(_BATCH):
                columns = [_make_column(list(values)) for values in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, names=names)
    except ImportError as error:
        driver = "pip install the driver that SQLAlchemy takes for it, such as pymysql with mysql+pymysql://"
        raise InputError(
            f"{query.database}:// needs a package that is not installed ({error.name})",
            where=uri,
            fix=_EXTRA if query.database in ("postgresql", "postgres") else driver,
        ) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        lost = isinstance(error, DBAPIError) and (error.connection_invalidated or not connected)
        raise _make_database_error(uri, error, connected=not lost) from error
    finally:
        if engine is not None:
            engine.dispose()


def _make_engine(query: Query) -> Any:  # noqa: ANN401 (SQLAlchemy is imported late)
    import sqlalchemy  # noqa: PLC0415

    if query.file:
        return sqlalchemy.create_engine("sqlite://", creator=partial(_open_read_only, query.file))
    url = sqlalchemy.make_url(query.address)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    psycopg = url.drivername == "postgresql+psycopg"
    return sqlalchemy.create_engine(
        url, connect_args={"connect_timeout": _CONNECT_SECONDS} if psycopg else {}
    )


def _make_database_error(uri: str, error: Exception, *, connected: bool) -> InputError | StoreError:
    # 200 characters of the database's own error hold what is wrong and where; what follows is a hint or the query again.
    said = redact(take_first_line(getattr(error, "orig", None) or error, 1_000))[:200]
    if connected:
        return InputError(f"the database refuses the query ({said})", where=uri, fix="check the query")
    if any(word in said for word in ("authentication", "password", "does not exist", "denied")):
        return InputError(
            f"the database refuses the connection ({said})",
            where=uri,
            fix="check user and database; a password comes from PGPASSWORD or ~/.pgpass",
        )
    return StoreError(
        f"the database cannot be reached ({said})",
        where=uri,
        fix="check address and connection; then run the same command again",
    )


def _make_column(values: list[Any]) -> pa.Array:
    """Return values of a column as Arrow has them; a mixture of kinds, which SQLite allows, is text."""
    plain = [_simplify(value) for value in values]
    try:
        return pa.array(plain)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array(list(map(write_value, plain)), pa.string())


def _simplify(value: Any) -> Any:  # noqa: ANN401 (whatever a driver gives)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if value is None or isinstance(value, str | bytes | int | float | list | dict) or hasattr(value, "year"):
        return value
    return value if hasattr(value, "hour") else str(value)


def _merge_schemas(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Return a schema that holds the values of both; kinds that have nothing in common are text."""
    fields = []
    for one, other in zip(first, second, strict=True):
        try:
            both = pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
            fields += list(both)
        except pa.ArrowException:
            fields.append(pa.field(one.name, pa.string()))
    return pa.schema(fields)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    # A whole number beyond 2^53 among fractions is rounded, as every reader of numbers does.
    return convert_to_text(column) if pa.types.is_string(kind) else column.cast(kind, safe=False)
