"""Malformed and nasty inputs, each with what must become of it: a right result, or one line that says what is wrong.

`python tests/corpus/corpus_cases.py FOLDER` writes them all, to be looked at or handed to the command.
"""

import decimal
import gzip
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from PIL import Image

ROWS = 60


@dataclass(frozen=True)
class Nasty:
    """One input.

    Attributes:
        name: Of the case.
        make: Writes it into a folder, returns its path.
        said: Words that the refusal holds; None where the input is to be read.
        columns: Roles, as the fields of `Source`.
        rows: Rows that are read, where it is read.
    """

    name: str
    make: Callable[[Path], Path]
    said: tuple[str, ...] | None = None
    columns: dict[str, object] = field(default_factory=dict)
    rows: int = ROWS


def csv_text(rows: int = ROWS, **changes: dict[int, str]) -> str:
    """Return a good CSV with single cells replaced: column to row to text."""
    lines = ["id,x,y,label"]
    for n in range(rows):
        cells = {"id": f"s{n}", "x": f"{n % 7}.5", "y": str(n), "label": "ab"[n % 2]}
        cells |= {column: cell[n] for column, cell in changes.items() if n in cell}
        lines.append(",".join(cells.values()))
    return "\n".join(lines) + "\n"


def columns(**changes: object) -> dict[str, object]:
    """Return the columns of a good table with some replaced."""
    good = {
        "id": [f"s{n}" for n in range(ROWS)],
        "x": np.arange(ROWS) % 7 + 0.5,
        "y": np.arange(ROWS, dtype=np.float64),
        "label": ["ab"[n % 2] for n in range(ROWS)],
    }
    return {name: values for name, values in {**good, **changes}.items() if values is not None}


def bytes_file(name: str, content: bytes | str) -> Callable[[Path], Path]:
    """Return a maker of a file with this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def table_file(
    name: str, table: Callable[[], pa.Table] | None = None, **changes: object
) -> Callable[[Path], Path]:
    """Return a maker of a Parquet, Arrow or Feather file, by its suffix."""

    def make(folder: Path) -> Path:
        path, made = folder / name, table() if table else pa.table(columns(**changes))
        if path.suffix == ".parquet":
            pq.write_table(made, path)
        elif path.suffix == ".feather":
            feather.write_feather(made, path)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, made.schema) as writer:
                writer.write_table(made)
        return path

    return make


def cut(make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
    """Return a maker of the same file without its end."""

    def shortened(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return shortened


def scrambled(make: Callable[[Path], Path], seed: int) -> Callable[[Path], Path]:
    """Return a maker of the same file with a tenth of its middle replaced by noise."""

    def damaged(folder: Path) -> Path:
        path = make(folder)
        content = bytearray(path.read_bytes())
        middle = slice(len(content) // 3, len(content) // 3 + max(len(content) // 10, 8))
        content[middle] = np.random.default_rng(seed).bytes(middle.stop - middle.start)
        path.write_bytes(bytes(content))
        return path

    return damaged


def json_lines(**changes: object) -> str:
    """Return a good JSON Lines text with some columns replaced."""
    table = {name: list(values) for name, values in columns(**changes).items()}  # type: ignore[call-overload]
    rows = ({name: plain(values[n]) for name, values in table.items()} for n in range(ROWS))
    return "".join(json.dumps(row) + "\n" for row in rows)


def plain(value: object) -> object:
    """Return a value that JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


def png(size: tuple[int, int] = (6, 6), mode: str = "L", kind: str = "PNG", value: int = 0) -> bytes:
    """Return a picture with noise in it."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def pictures(**changed: bytes) -> list[bytes]:
    """Return good pictures with some replaced, by `r<row>`."""
    good = [png(value=n) for n in range(ROWS)]
    for name, content in changed.items():
        good[int(name[1:])] = content
    return good


def declared_huge(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size that its data do not have."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    chunks = b""
    for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")):
        chunks += len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunks


def replaced(make: Callable[[Path], Path], old: bytes, new: bytes) -> Callable[[Path], Path]:
    """Return a maker of the same file with some bytes exchanged."""

    def changed(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes().replace(old, new))
        return path

    return changed


def encrypted(*, plain_footer: bool) -> Callable[[Path], Path]:
    """Return a maker of a Parquet file of which nobody has the key."""
    import base64

    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):  # type: ignore[misc]
        def __init__(self, _: object) -> None:
            pe.KmsClient.__init__(self)

        def wrap_key(self, key: bytes, master: str) -> bytes:
            return base64.b64encode(master.encode() + key)

        def unwrap_key(self, wrapped: bytes, master: str) -> bytes:
            return base64.b64decode(wrapped)[len(master) :]

    def make(folder: Path) -> Path:
        path, table = folder / "data.parquet", pa.table(columns())
        config = pe.EncryptionConfiguration(
            footer_key="k", column_keys={"k": ["x", "label"]}, plaintext_footer=plain_footer
        )
        properties = pe.CryptoFactory(Keys).file_encryption_properties(pe.KmsConnectionConfig(), config)
        with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
            writer.write_table(table)
        return path

    return make


def cases() -> Iterator[Nasty]:
    """Yield every case."""
    yield from _files()
    yield from _delimited()
    yield from _json()
    yield from _typed()
    yield from _labels()
    yield from _numbers()
    yield from _pictures()
    yield from _paths()


def _files() -> Iterator[Nasty]:
    """Yield files that are not what they seem, in every format."""
    good: dict[str, Callable[[Path], Path]] = {
        "csv": bytes_file("data.csv", csv_text()),
        "csv.gz": bytes_file("data.csv.gz", gzip.compress(csv_text().encode())),
        "jsonl": bytes_file("data.jsonl", json_lines()),
        "parquet": table_file("data.parquet"),
        "arrow": table_file("data.arrow"),
        "feather": table_file("data.feather"),
    }
    for suffix, make in good.items():
        name = f"data.{suffix}"
        yield Nasty(f"good {suffix}", make)
        yield Nasty(f"empty {suffix}", bytes_file(name, b""), (name, "empty"))
        yield Nasty(f"white space {suffix}", bytes_file(name, b" \n\n \n"), (name,))
        yield Nasty(f"zeros {suffix}", bytes_file(name, b"\0" * 4096), (name,))
        yield Nasty(f"noise {suffix}", bytes_file(name, np.random.default_rng(1).bytes(5000)), (name,))
        yield Nasty(
            f"html {suffix}", bytes_file(name, "<html><body>404 Not Found</body></html>\n" * 3), (name,)
        )
        if suffix in ("csv.gz", "parquet", "arrow", "feather"):
            yield Nasty(f"half {suffix}", cut(make, 0.5), (name,))
            yield Nasty(f"all but the end {suffix}", cut(make, 0.98), (name,))
            yield Nasty(f"first bytes {suffix}", cut(make, 0.01), (name,))
    for wrong, right in (
        ("data.parquet", "csv"),
        ("data.arrow", "csv"),
        ("data.csv", "parquet"),
        ("data.jsonl", "parquet"),
    ):
        content = csv_text() if right == "csv" else _content(good[right])
        yield Nasty(f"{right} named {wrong}", bytes_file(wrong, content), (wrong,))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", csv_text())
    yield Nasty("a zip archive", bytes_file("data.zip", buffer.getvalue()))
    yield Nasty("a zip archive named csv", bytes_file("data.csv", buffer.getvalue()), ("data.csv",))
    bomb = gzip.compress(b"0" * 200_000_000, 9)
    yield Nasty("a gzip bomb of one endless field", bytes_file("data.csv.gz", bomb), ("data.csv.gz",))
    yield Nasty(
        "a gzip in a gzip",
        bytes_file("data.csv.gz", gzip.compress(gzip.compress(csv_text().encode()))),
        ("data.csv.gz",),
    )


def _content(make: Callable[[Path], Path]) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder)).read_bytes()


def _delimited() -> Iterator[Nasty]:
    """Yield text tables with every trouble that people's exports have."""

    def case(name: str, text: bytes | str, said: tuple[str, ...] | None = None, **more: object) -> Nasty:
        return Nasty(f"csv: {name}", bytes_file("data.csv", text), said, **more)  # type: ignore[arg-type]

    good = csv_text()
    yield case("a byte order mark", "\ufeff" + good)
    yield case("Windows line ends", good.replace("\n", "\r\n"))
    yield case("old Mac line ends", good.replace("\n", "\r"))
    yield case("no line end at the end", good.rstrip("\n"))
    yield case("empty lines at the end", good + "\n\n\n")
    yield case("semicolons", good.replace(",", ";"))
    yield case("tabs", good.replace(",", "\t"))
    yield case("quoted cells", csv_text(label={3: '"a"', 5: '"b"'}))
    yield case("a comma in quotes", csv_text(id={3: '"s,3"'}))
    yield case("a line end in quotes", csv_text(id={3: '"s\n3"'}))
    yield case("doubled quotes", csv_text(id={3: '"s""3"'}))
    yield case("a quote never closed", csv_text(id={3: '"s3'}), ("data.csv",))
    yield case("a field too many", csv_text(label={3: "a,b"}), ("data.csv", "5"))
    yield case("a field too few", good.replace("s3,3.5,3,b", "s3,3.5,3"), ("data.csv", "5"))
    yield case("a comma at the end of every line", good.replace("\n", ",\n"))
    yield case("a header and nothing else", "id,x,y,label\n", ("data.csv", "no rows"))
    yield case("a header that occurs twice", good.replace("id,x,y", "id,x,x"))
    yield case("an empty column name", good.replace("id,x,y", "id,x,"), None)
    yield case("one row", csv_text(1), ("class",))
    yield case("Latin-1", csv_text(id={3: "caf\u00e9"}).encode("latin-1"))
    yield case("UTF-16", good.encode("utf-16"))
    yield case("an embedded NUL", csv_text(id={3: "s\0three"}))
    yield case(
        "a surrogate in bytes",
        good.replace("s3,", "s3\udcff,").encode("utf-8", "surrogateescape"),
    )
    yield case("right-to-left override in an id", csv_text(id={3: "\u202es3"}))
    yield case("text among the numbers", csv_text(x={3: "unknown"}), None)
    yield case("numbers with a comma", csv_text(x={n: f'"{n},5"' for n in range(ROWS)}), None)
    yield case("infinity as text", csv_text(x={3: "inf"}))
    yield case("NaN as text", csv_text(x={3: "nan", 5: "NA", 7: ""}))
    yield case("a label that is a formula", csv_text(label=dict.fromkeys(range(0, ROWS, 2), "=1+1")))
    yield case(
        "a label that is markup",
        csv_text(label=dict.fromkeys(range(0, ROWS, 2), "<script>alert(1)</script>")),
    )
    yield case("a label of terminal escapes", csv_text(label=dict.fromkeys(range(0, ROWS, 2), "\x1b[31mred")))
    yield case(
        "a label of path separators", csv_text(label=dict.fromkeys(range(0, ROWS, 2), "../../etc/passwd"))
    )
    yield case("labels that differ in blanks", csv_text(label=dict.fromkeys(range(0, ROWS, 4), " a")))
    yield case("labels that look alike", csv_text(label=dict.fromkeys(range(0, ROWS, 4), "а")))
    yield case(
        "a label of ten thousand letters", csv_text(label=dict.fromkeys(range(0, ROWS, 2), "z" * 10000))
    )
    yield case("a field of a million letters", csv_text(id={3: "z" * 1_000_000}))
    yield case("ids that collide", csv_text(id={3: "s4"}), columns={"id": "id"})
    yield case("an empty id", csv_text(id={3: ""}), columns={"id": "id"})
    yield case("ids that differ in case only", csv_text(id={3: "S4"}), columns={"id": "id"})
    yield case("comment lines", "# made by a tool\n" + good)
    header = ",".join(f"c{n}" for n in range(10_000))
    wide = f"{header},label\n" + "".join(
        ",".join(["1", *map(str, range(9_999))]) + f",{'ab'[n % 2]}\n" for n in range(ROWS)
    )
    yield case("ten thousand columns", wide)


def _json() -> Iterator[Nasty]:
    """Yield JSON Lines that are not."""

    def case(name: str, text: bytes | str, said: tuple[str, ...] | None = None, **more: object) -> Nasty:
        return Nasty(f"jsonl: {name}", bytes_file("data.jsonl", text), said, **more)  # type: ignore[arg-type]

    lines = json_lines().splitlines()
    yield case("one array", "[" + ",".join(lines) + "]", ("data.jsonl",))
    yield case("a line that is cut", "\n".join([*lines[:5], lines[5][:9], *lines[6:]]), ("data.jsonl", "6"))
    yield case("a number alone", "\n".join([*lines[:5], "7", *lines[6:]]), ("data.jsonl", "6"))
    yield case("null alone", "\n".join([*lines[:5], "null", *lines[6:]]))
    yield case("an empty line between", "\n".join([*lines[:5], "", *lines[5:]]))
    yield case("an empty object", "\n".join([*lines[:5], "{}", *lines[6:]]))
    yield case(
        "keys in another order",
        "\n".join(json.dumps(dict(reversed(json.loads(line).items()))) for line in lines),
    )
    yield case(
        "a key that is new in the middle",
        "\n".join([*lines[:30], lines[30][:-1] + ', "new": 1}', *lines[31:]]),
    )
    yield case(
        "a key that occurs twice",
        "\n".join([*lines[:5], lines[5][:-1] + ', "x": 1}', *lines[6:]]),
        ("data.jsonl",),
    )
    yield case(
        "a number as text",
        "\n".join([*lines[:30], lines[30].replace('"x": 2.5', '"x": "2.5"'), *lines[31:]]),
        None,
    )
    yield case(
        "NaN, which is no JSON", "\n".join([*lines[:30], lines[30].replace("2.5", "NaN"), *lines[31:]]), None
    )
    yield case(
        "a number beyond float64",
        "\n".join([*lines[:30], lines[30].replace("2.5", "1e999"), *lines[31:]]),
        ("data.jsonl",),
    )
    yield case(
        "an integer beyond 64 bits",
        "\n".join([*lines[:30], lines[30].replace("2.5", "9" * 40), *lines[31:]]),
        None,
    )
    yield case(
        "deep nesting",
        "\n".join([*lines[:5], '{"x":' * 200_000 + "1" + "}" * 200_000, *lines[6:]]),
        ("data.jsonl",),
    )
    yield case("nested objects", json_lines(x=[{"a": 1}] * ROWS))
    yield case("lists as labels", json_lines(label=[["a", "b"]] * ROWS), ("label", "multi-label"))
    yield case(
        "labels of two kinds",
        json_lines(label=["a" if n % 2 else 1 for n in range(ROWS)]),
        None,
    )


def _typed() -> Iterator[Nasty]:
    """Yield typed tables with every type that Arrow has."""
    ones = np.arange(ROWS)
    types: dict[str, pa.Array] = {
        "int8": pa.array(ones % 100, pa.int8()),
        "uint64 at its limit": pa.array([2**64 - 1 - n for n in range(ROWS)], pa.uint64()),
        "int64 at its limit": pa.array([2**63 - 1 - n for n in range(ROWS)], pa.int64()),
        "float16": pa.array(ones.astype(np.float16)),
        "bool": pa.array(ones % 3 == 0),
        "decimal128": pa.array([decimal.Decimal(f"{n}.25") for n in range(ROWS)], pa.decimal128(30, 2)),
        "decimal256": pa.array([decimal.Decimal(10) ** 60 + n for n in range(ROWS)], pa.decimal256(70, 2)),
        "date": pa.array([date(2020, 1, 1 + n % 28) for n in range(ROWS)]),
        "timestamp with zone": pa.array([datetime(2020, 1, 1 + n % 28, tzinfo=UTC) for n in range(ROWS)]),
        "duration": pa.array(ones.astype(np.int64), pa.duration("s")),
        "time": pa.array(ones.astype(np.int32), pa.time32("s")),
        "binary": pa.array([b"\0\xff"] * ROWS),
        "large string": pa.array([f"t{n % 3}" for n in range(ROWS)], pa.large_string()),
        "string view": pa.array([f"t{n % 3}" for n in range(ROWS)], pa.string_view()),
        "dictionary": pa.array([f"t{n % 3}" for n in range(ROWS)]).dictionary_encode(),
        "run-end encoded": pa.RunEndEncodedArray.from_arrays(
            pa.array([30, 60], pa.int32()), pa.array([1.0, 2.0])
        ),
        "null type": pa.nulls(ROWS),
        "all null": pa.nulls(ROWS, pa.float64()),
        "list": pa.array([[1.0, 2.0]] * ROWS),
        "fixed list": pa.array([[1.0, 2.0]] * ROWS, pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"a": 1, "b": "x"}] * ROWS),
        "map": pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
        "union": pa.UnionArray.from_sparse(
            pa.array([0, 1] * (ROWS // 2), pa.int8()), [pa.array(ones), pa.array(ones * 0.5)]
        ),
    }
    for name, values in types.items():
        wide = name in ("run-end encoded", "union", "string view")  # Parquet cannot hold the first two
        suffix = "arrow" if wide else "parquet"
        yield Nasty(f"a column of {name}", table_file(f"data.{suffix}", extra=values), None)
    yield Nasty(
        "a column name twice",
        table_file(
            "data.arrow",
            lambda: pa.table([pa.array(ones)] * 2 + [pa.array(["a", "b"] * 30)], names=["x", "x", "label"]),
        ),
        ("data.arrow", "x"),
    )
    yield Nasty(
        "a column without a name",
        table_file(
            "data.parquet", lambda: pa.table([pa.array(ones), pa.array(["a", "b"] * 30)], names=["", "label"])
        ),
        ("data.parquet", "no column to learn from"),
    )
    yield Nasty(
        "column names of markup and escapes", table_file("data.parquet", **{"<b>\x1b[31m": ones}), None
    )
    for suffix in ("arrow", "feather"):
        named = table_file(f"data.{suffix}", nameless=ones)
        yield Nasty(
            f"a column name that is not UTF-8 {suffix}",
            replaced(named, b"nameless", b"name\x97ess"),
            (f"data.{suffix}", "not UTF-8"),
        )
    for name, footer in (("its footer too", False), ("its columns only", True)):
        yield Nasty(f"encrypted Parquet: {name}", encrypted(plain_footer=footer), ("data.parquet",))
    yield Nasty(
        "a column name with a NUL", table_file("data.parquet", **{"x\0y": ones}), ("data.parquet", "NUL")
    )
    yield Nasty(
        "a table without columns", table_file("data.parquet", lambda: pa.table({})), ("data.parquet",)
    )
    yield Nasty(
        "a table without rows",
        table_file("data.parquet", lambda: pa.table(columns()).slice(0, 0)),
        ("data.parquet", "no rows"),
    )
    yield Nasty(
        "a column that is reserved",
        table_file("data.parquet", sample_id=["x"] * ROWS, content_hash=["y"] * ROWS),
        None,
    )


def _labels() -> Iterator[Nasty]:
    """Yield labels of every kind."""
    some = [None if n % 10 == 0 else "ab"[n % 2] for n in range(ROWS)]
    labels: dict[str, tuple[object, tuple[str, ...] | None]] = {
        "integers": (np.arange(ROWS) % 3, None),
        "negative integers": (-(np.arange(ROWS) % 3), None),
        "booleans": (np.arange(ROWS) % 2 == 0, None),
        "categories": (pa.array(["ab"[n % 2] for n in range(ROWS)]).dictionary_encode(), None),
        "whole floats": (np.arange(ROWS) % 3 * 1.0, None),
        "some missing": (some, None),
        "all missing": (pa.nulls(ROWS, pa.string()), ("label",)),
        "one class": (["a"] * ROWS, ("class",)),
        "measured quantities": (np.random.default_rng(0).normal(size=ROWS), ("label",)),
        "as many classes as rows": ([f"c{n}" for n in range(ROWS)], ("different values",)),
        "lists": ([["a", "b"]] * ROWS, ("multi-label",)),
        "structs": ([{"a": 1}] * ROWS, ("label",)),
        "bytes that are no text": ([b"\xff\xfe"] * 30 + [b"\xff"] * 30, ("label",)),
        "emoji": (["\U0001f600" if n % 2 else "\U0001f44d\U0001f3fd" for n in range(ROWS)], None),
        "composed and decomposed": (["\u00e9" if n % 2 else "e\u0301" for n in range(ROWS)], ("one class",)),
    }
    for name, (values, said) in labels.items():
        yield Nasty(f"labels: {name}", table_file("data.parquet", label=values), said)
    yield Nasty("labels: no such column", table_file("data.parquet"), ("species",), {"label": "species"})
    yield Nasty(
        "labels: the column is a feature too",
        table_file("data.parquet"),
        ("label",),
        {"features": ("x", "label")},
    )
    yield Nasty(
        "labels: five thousand classes",
        table_file(
            "data.parquet",
            lambda: pa.table(
                {"x": np.arange(20_000) * 0.1, "label": [f"c{n % 5_000}" for n in range(20_000)]}
            ),
        ),
        None,
        rows=20_000,
    )


def _numbers() -> Iterator[Nasty]:
    """Yield features that arithmetic stumbles over."""
    ones = np.arange(ROWS, dtype=np.float64)
    values: dict[str, tuple[object, tuple[str, ...] | None]] = {
        "1e308": (ones * 1e307, None),
        "denormals": (ones * 5e-324, None),
        "one infinity": (np.where(ones == 3, np.inf, ones), None),
        "one NaN": (np.where(ones == 3, np.nan, ones), None),
        "all infinity": (np.full(ROWS, np.inf), None),
        "all NaN": (np.full(ROWS, np.nan), None),
        "all the same": (np.ones(ROWS), None),
        "beyond float32": (ones * 1e200, None),
        "negative zero": (np.full(ROWS, -0.0), None),
    }
    for name, (column, said) in values.items():
        yield Nasty(f"numbers: {name}", table_file("data.parquet", x=column), said)
    yield Nasty(
        "numbers: all rows identical",
        table_file("data.parquet", id=None, x=np.ones(ROWS), y=np.ones(ROWS)),
        None,
    )
    vectors = [[float(n), 1.0, 2.0] for n in range(ROWS)]
    role: dict[str, object] = {"embedding": "v"}
    yield Nasty("embedding: good", table_file("data.parquet", v=vectors), None, role)
    yield Nasty(
        "embedding: of unequal lengths", table_file("data.parquet", v=[*vectors[:-1], [1.0]]), None, role
    )
    yield Nasty("embedding: empty lists", table_file("data.parquet", v=[[]] * ROWS), ("v",), role)
    yield Nasty(
        "embedding: a null in a list",
        table_file("data.parquet", v=[*vectors[:-1], [1.0, None, 2.0]]),
        None,
        role,
    )
    yield Nasty("embedding: a missing list", table_file("data.parquet", v=[*vectors[:-1], None]), None, role)
    yield Nasty("embedding: of text", table_file("data.parquet", v=[["a"]] * ROWS), ("v",), role)
    yield Nasty(
        "embedding: nested lists", table_file("data.parquet", v=[[[1.0], [2.0]]] * ROWS), ("v",), role
    )
    yield Nasty("embedding: a number", table_file("data.parquet", v=ones), ("v",), role)


def _pictures() -> Iterator[Nasty]:
    """Yield pictures that do not decode, or would rather not: one among many is for the quarantine, and is read past."""
    role: dict[str, object] = {"image": "p"}

    def case(name: str, said: tuple[str, ...] | None, content: object) -> Nasty:
        return Nasty(f"pictures: {name}", table_file("data.parquet", p=content), said, role)

    yield case("good", None, pictures())
    yield case("one is empty", None, pictures(r3=b""))
    yield case("one is cut", None, pictures(r3=png()[:40]))
    yield case("one is text", None, pictures(r3=b"not a picture"))
    yield case("none decodes", ("data.parquet", "row 1", "'p'"), [b"not a picture"] * ROWS)
    yield case(
        "one declares a huge size",
        None,
        pictures(r3=declared_huge(60_000, 60_000)),
    )
    yield case("one declares size zero", None, pictures(r3=declared_huge(0, 10)))
    yield case(
        "one is an SVG with a script",
        None,
        pictures(r3=b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
    )
    yield case("one is a PDF", None, pictures(r3=b"%PDF-1.4\n%%EOF"))
    yield case("JPEG among PNG", None, pictures(r3=png(kind="JPEG")))
    yield case("paths that do not exist", ("p",), [f"missing-{n}.png" for n in range(ROWS)])
    yield case("paths out of the folder", ("p",), ["../../../../etc/passwd"] * ROWS)
    yield case("paths that are addresses", ("p",), ["http://127.0.0.1:9/x.png"] * ROWS)


def _paths() -> Iterator[Nasty]:
    """Yield addresses that are no files."""

    def missing(folder: Path) -> Path:
        return folder / "absent.csv"

    def loop(folder: Path) -> Path:
        (folder / "loop.csv").symlink_to(folder / "loop.csv")
        return folder / "loop.csv"

    def dangling(folder: Path) -> Path:
        (folder / "link.csv").symlink_to(folder / "nowhere.csv")
        return folder / "link.csv"

    def fifo(folder: Path) -> Path:
        os.mkfifo(folder / "pipe.csv")
        return folder / "pipe.csv"

    def folder_of(*names: str) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            inside = folder / "parts"
            inside.mkdir()
            for name in names:
                (table_file(name) if name.endswith("parquet") else bytes_file(name, csv_text()))(inside)
            return inside

        return make

    def ring(folder: Path) -> Path:
        inside = folder_of("a.parquet")(folder)
        (inside / "again").symlink_to(inside)
        return inside

    yield Nasty("path: missing", missing, ("absent.csv",))
    yield Nasty("path: a link to itself", loop, ("loop.csv",))
    yield Nasty("path: a link to nothing", dangling, ("link.csv",))
    yield Nasty("path: a pipe that nobody writes to", fifo, ("pipe.csv",))
    yield Nasty("path: a device", lambda _: Path("/dev/zero"), ("/dev/zero",))
    yield Nasty("path: an empty folder", folder_of(), ("parts",))
    yield Nasty("path: a folder of Parquet and CSV", folder_of("a.parquet", "b.csv"), ("parts",))
    yield Nasty("path: a folder that holds itself", ring)
    yield Nasty("path: a name of escapes", bytes_file("a\x1b[31m\nb.csv", csv_text()))
    yield Nasty("path: a hidden file beside the parts", folder_of("a.parquet", ".hidden.parquet"))


def main() -> None:
    """Write all cases into a folder, each in one of its own."""
    from corpus_options import option_cases

    root = Path(sys.argv[1])
    for number, case in enumerate([*cases(), *option_cases()]):
        folder = root / f"{number:03d}"
        folder.mkdir(parents=True)
        (folder / "CASE").write_text(f"{case.name}\n{case.columns}\n{case.said}\n")
        case.make(folder)


if __name__ == "__main__":
    main()
