"""Addresses of a query: `duckdb:///pets.db?query=SELECT …`, `sqlite:///pets.db?query=…`, `postgresql://host/pets?query=…`.

The query is the last field of the address, as SQL or as a web address writes it. A file is relative with three slashes and
absolute with four, as SQLAlchemy has it. A password never stands here: Postgres finds it in PGPASSWORD or ~/.pgpass.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

# Databases in a file of this machine, and those that are asked over a connection.
_FILES = ("duckdb", "sqlite")
_SERVERS = (
    "postgresql",
    "postgres",
    "mysql",
    "mariadb",
    "mssql",
    "oracle",
    "redshift",
    "snowflake",
    "bigquery",
)
_ADDRESS = re.compile(rf"({'|'.join((*_FILES, *_SERVERS))})(\+\w+)?://", re.IGNORECASE)
_QUERY = re.compile(r"[?&]query=", re.IGNORECASE)
_TABLE = re.compile(r'\bfrom\s+["`\[]?([\w.]+)', re.IGNORECASE)


@dataclass(frozen=True)
class Query:
    """What a database is asked.

    Attributes:
        database: Kind of database, such as `sqlite`.
        address: Address of the database, without the query.
    """

    database: str
    address: str
    sql: str

    @property
    def file(self) -> str | None:
        """The file of the database; empty for one in memory, None for a server."""
        if self.database not in _FILES:
            return None
        path = self.address.split("://", 1)[1].split("?", 1)[0].removeprefix("/")
        return "" if path == ":memory:" else path

    @property
    def name(self) -> str:
        """A short name: that of the first table, or else of the database."""
        table = _TABLE.search(self.sql)
        path = self.address.split("?", 1)[0].rsplit("/", 1)[-1]
        return (table[1] if table else path).split(".")[-1 if table else 0] or "query"


def parse_query(address: str) -> Query | None:
    """Return what an address asks of a database, None where it is the address of something else.

    >>> parse_query("sqlite:///pets.db?query=SELECT * FROM pets WHERE name LIKE '%ab%'").sql
    "SELECT * FROM pets WHERE name LIKE '%ab%'"
    >>> parse_query("postgresql://host/db?sslmode=require&query=SELECT%20*%20FROM%20pets").address
    'postgresql://host/db?sslmode=require'
    """
    scheme = _ADDRESS.match(address)
    if scheme is None:
        return None
    found = _QUERY.search(address)
    database, text = (address[: found.start()], address[found.end() :]) if found else (address, "")
    # SQL has blanks between its words; an address that was encoded has none.
    sql = text if re.search(r"\s", text.strip()) else unquote_plus(text)
    return Query(scheme[1].lower(), database, sql.strip().rstrip(";").strip())


def make_query_absolute(address: str, folder: Path = Path()) -> str:
    """Return the address with the path of a local database made absolute.

    Args:
        folder: Where a relative path starts.

    >>> make_query_absolute("sqlite:////data/pets.db?query=SELECT 1")
    'sqlite:////data/pets.db?query=SELECT 1'
    """
    query = parse_query(address)
    if query is None or not query.file or query.file.startswith("/"):
        return address
    scheme, rest = address.split("://", 1)
    return f"{scheme}:///{(folder / query.file).absolute()}{rest.removeprefix('/')[len(query.file) :]}"
