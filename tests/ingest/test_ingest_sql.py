"""A query is a source: asked once, in batches, read-only; the address never holds a password."""

# ruff: noqa: S608 (the queries are this file's own)
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy

from flows.config import CleanParameters
from flows.source_names import make_absolute
from tasks.errors import InputError, StoreError
from tasks.ingest import digest_files, ingest
from tasks.ingest.formats.sql import query_part
from tasks.ingest.source import remember_sources
from tasks.ingest.table import open_source
from tasks.records import Source

sys.path.insert(0, str(Path(__file__).parents[1] / "stack"))
from postgres_server import binaries, postgres

ROWS = 60
Row = tuple[int, float, float, str]
TABLE = "CREATE TABLE pets (id INTEGER, x DOUBLE PRECISION, z NUMERIC(10, 3), label VARCHAR(9))"


def rows() -> list[Row]:
    generator = np.random.default_rng(0)
    found = generator.normal(size=(ROWS, 2)).round(3)
    return [(place, float(x), float(z), ["cat", "dog"][place % 2]) for place, (x, z) in enumerate(found)]


def in_sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "pets.db") as connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO pets VALUES (?, ?, ?, ?)", rows())
    connection.close()
    return f"sqlite:///{folder}/pets.db"


def in_duckdb(folder: Path) -> str:
    with duckdb.connect(str(folder / "pets.duckdb")) as connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO pets VALUES (?, ?, ?, ?)", rows())
    return f"duckdb:///{folder}/pets.duckdb"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    programs = binaries()
    if programs is None:
        pytest.skip("no Postgres on this machine")
    with postgres(programs) as address:
        plain = address.replace("+asyncpg", "")
        engine = sqlalchemy.create_engine(plain.replace("://", "+psycopg://"))
        with engine.begin() as connection:
            connection.exec_driver_sql(TABLE)
            connection.exec_driver_sql("INSERT INTO pets VALUES (%s, %s, %s, %s)", rows())
        engine.dispose()
        yield plain


@pytest.fixture(params=["sqlite", "duckdb", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("server"))
    return in_sqlite(tmp_path) if request.param == "sqlite" else in_duckdb(tmp_path)


@pytest.mark.parametrize(
    "query", ["SELECT * FROM pets WHERE label LIKE '%o%' OR x::text <> '12:30';", "SELECT%20*%20FROM%20pets"]
)
def test_each_database_gives_its_rows_with_their_types(database, query, tmp_path):
    if database.startswith("sqlite"):
        query = query.replace("x::text", "x")
    dataset = ingest(Source(uri=f"{database}?query={query}"), tmp_path / "run")
    found = pq.read_table(dataset.path).to_pylist()
    read = [(int(row["sample_id"]), row["x"], float(row["z"]), row["label"]) for row in found]
    assert sorted(read) == rows()
    assert dataset.feature_names == ("x", "z")
    assert dataset.name == "pets"


def test_the_fingerprint_is_that_of_the_rows_in_any_order(database):
    one = digest_files(f"{database}?query=SELECT * FROM pets")
    assert one == digest_files(f"{database}?query=SELECT * FROM pets")
    parts = [query_part(f"{database}?query=SELECT id, label FROM pets ORDER BY {by}") for by in ("id", "-id")]
    assert len({part.answer.digest for part in parts if part}) == 1
    less = query_part(f"{database}?query=SELECT id, label FROM pets WHERE id > 0")
    assert less
    assert less.answer.digest != parts[0].answer.digest


def test_a_query_is_asked_once_within_a_run(tmp_path):
    address = in_sqlite(tmp_path) + "?query=SELECT * FROM pets"
    with remember_sources():
        before = digest_files(address)
        with sqlite3.connect(tmp_path / "pets.db") as connection:
            connection.execute("UPDATE pets SET label = 'bird' WHERE id = 3")
        connection.close()
        assert digest_files(address) == before
    assert digest_files(address) != before


@pytest.mark.parametrize(
    "query", ["DELETE FROM pets", "SELECT nope FROM pets", "SELECT * FROM pets WHERE 1 = 0"]
)
def test_a_query_that_writes_fails_or_finds_nothing_is_refused_in_one_line(database, query, tmp_path):
    with pytest.raises(InputError, match=r"the database refuses the query|the query gives no rows"):
        ingest(Source(uri=f"{database}?query={query}"), tmp_path / "run")
    (batch,) = open_source(f"{database}?query=SELECT count(*) AS n FROM pets", frozenset()).scan(["n"], 9)
    assert batch.column(0).to_pylist() == [ROWS]


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("sqlite:////nowhere/pets.db?query=SELECT 1 AS a", InputError, "no such file '/nowhere/pets.db'"),
        ("postgresql://127.0.0.1/pets", InputError, "names no query"),
        ("postgresql://127.0.0.1:1/p?query=SELECT 1 AS a", StoreError, "the database cannot be reached"),
        ("postgresql://ada:x5z@127.0.0.1:1/p?query=SELECT 1", InputError, r"ada:\*\*\*@.*holds a password"),
        ("mysql+nodriver://h/p?query=SELECT 1 AS a", InputError, "refuses|not installed"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(address, kind, message):
    with pytest.raises(kind, match=message) as refused:
        open_source(address, frozenset())
    assert "x5z" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_mixed_values_of_a_column_are_text_also_across_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.ingest.formats.sql._BATCH", 2)
    with sqlite3.connect(tmp_path / "odd.db") as connection:
        connection.execute("CREATE TABLE odd (a, b, c)")
        values = [(1, None, 1), (2, None, 2.5), ("x", b"\0", None), (None, b"\1", 2**62)]
        connection.executemany("INSERT INTO odd VALUES (?, ?, ?)", values)
    connection.close()
    table = open_source(f"sqlite:///{tmp_path}/odd.db?query=SELECT * FROM odd", frozenset())
    batches = list(table.scan(["a", "b", "c"], 9))
    assert [value for batch in batches for value in batch.column(0).to_pylist()] == ["1", "2", "x", None]
    assert [value for batch in batches for value in batch.column(1).to_pylist()] == [None, None, b"\0", b"\1"]
    assert [value for batch in batches for value in batch.column(2).to_pylist()] == [1, 2.5, None, 2.0**62]


def test_a_relative_file_is_the_same_data_set_from_everywhere(tmp_path, monkeypatch):
    address = in_sqlite(tmp_path) + "?query=SELECT * FROM pets"
    monkeypatch.chdir(tmp_path)
    relative = "sqlite:///pets.db?query=SELECT * FROM pets"
    assert make_absolute(relative) == address
    keys = [CleanParameters(source=source).data_set for source in (relative, address)]
    assert keys[0] == keys[1]
    assert keys[0].startswith("pets-")
