"""Nasty inputs of the other options and formats: texts, probabilities, raters, verified and true labels, folders, bombs."""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from corpus_cases import ROWS, Nasty, bytes_file, columns, csv_text, json_lines, png, table_file


def option_cases() -> Iterator[Nasty]:
    """Yield every case of this file."""
    yield from _texts()
    yield from _probabilities()
    yield from _raters()
    yield from _trusted_and_truth()
    yield from _ids_and_features()
    yield from _other_formats()
    yield from _bombs()
    yield from _image_folders()
    yield from _hugging_face()


def _table(name: str, said: tuple[str, ...] | None, roles: dict[str, object], **changes: object) -> Nasty:
    return Nasty(name, table_file("data.parquet", **changes), said, roles)


def _texts() -> Iterator[Nasty]:
    role: dict[str, object] = {"text": "t"}
    words = [f"text number {n} of many" for n in range(ROWS)]
    yield _table("text: good", None, role, t=words)
    yield _table("text: all empty", None, role, t=[""] * ROWS)
    yield _table("text: some missing", None, role, t=[None, *words[1:]])
    yield _table("text: all missing", None, role, t=pa.nulls(ROWS, pa.string()))
    yield _table("text: a hundred kilobytes each", None, role, t=[word * 5_000 for word in words])
    yield _table("text: numbers", ("--text", "'t'"), role, t=np.arange(ROWS))
    yield _table("text: lists", ("--text", "'t'"), role, t=[["a"]] * ROWS)
    yield _table("text: bytes that are no text", ("t",), role, t=[b"\xff\xfe"] * ROWS)
    yield _table("text: escapes, overrides and markup", None, role, t=["\x1b]0;x\x07\u202e<script>"] * ROWS)
    yield _table("text: NUL", None, role, t=["a\0b"] * ROWS)
    yield _table("text: no such column", ("'t'",), role)
    yield _table("text: the label itself", ("label",), {"text": "label"})
    yield _table("text: beside images that are none", ("'p'",), {"text": "t", "image": "p"}, t=words, p=words)


def _probabilities() -> Iterator[Nasty]:
    role: dict[str, object] = {"pred_probs": ("p",)}
    good: list[object] = [[0.25, 0.75]] * ROWS
    yield _table("probabilities: good", None, role, p=good)
    yield _table("probabilities: beyond one", None, role, p=[*good[:3], [1.5, -0.5], *good[4:]])
    yield _table("probabilities: that sum to less", None, role, p=[*good[:3], [0.1, 0.1], *good[4:]])
    yield _table("probabilities: infinite", None, role, p=[*good[:3], [np.inf, 0.0], *good[4:]])
    yield _table("probabilities: of unequal lengths", None, role, p=[*good[:3], [1.0], *good[4:]])
    yield _table(
        "probabilities: of classes that no label has", ("5 numbers", "2 classes"), role, p=[[0.2] * 5] * ROWS
    )
    yield _table("probabilities: numbers as text", None, role, p=["0.5 0.5"] * ROWS)
    yield _table("probabilities: text", ("'p'", "no vector"), role, p=["half"] * ROWS)
    yield _table("probabilities: no such column", ("'p'",), role)


def _raters() -> Iterator[Nasty]:
    role: dict[str, object] = {"raters": ("ann", "bob")}
    votes = ["ab"[n % 2] for n in range(ROWS)]
    yield _table("raters: good", None, role, ann=votes, bob=votes)
    yield _table("raters: one is missing", ("'bob'",), role, ann=votes)
    yield _table(
        "raters: none voted",
        ("label",),
        role,
        ann=pa.nulls(ROWS, pa.string()),
        bob=pa.nulls(ROWS, pa.string()),
    )
    yield _table("raters: lists", ("ann",), role, ann=[["a"]] * ROWS, bob=votes)
    yield _table("raters: the same twice", ("--raters",), {"raters": ("ann", "ann")}, ann=votes)


def _trusted_and_truth() -> Iterator[Nasty]:
    yield _table("trusted: good", None, {"trusted": "ok"}, ok=np.arange(ROWS) % 2 == 0)
    yield _table("trusted: of no booleans", ("'ok'",), {"trusted": "ok"}, ok=["perhaps"] * ROWS)
    yield _table("trusted: numbers beyond 0 and 1", ("'ok'",), {"trusted": "ok"}, ok=np.arange(ROWS))
    yield _table("trusted: all missing", None, {"trusted": "ok"}, ok=pa.nulls(ROWS, pa.bool_()))
    yield _table("trusted: no such column", ("'ok'",), {"trusted": "ok"})
    yield _table("trusted: the label itself", ("label",), {"trusted": "label"})
    yield _table("truth: good", None, {"truth": "t"}, t=["a"] * ROWS)
    yield _table("truth: missing in places", None, {"truth": "t"}, t=[None, *["a"] * (ROWS - 1)])
    yield _table("truth: of other classes", ("zebra", "'a', 'b'"), {"truth": "t"}, t=["zebra"] * ROWS)
    yield _table("truth: lists", ("'t'",), {"truth": "t"}, t=[["a"]] * ROWS)
    yield _table("truth: the label itself", ("label",), {"truth": "label"})
    yield _table("truth: no such column", ("'t'",), {"truth": "t"})


def _ids_and_features() -> Iterator[Nasty]:
    yield _table("id: integers", None, {"id": "n"}, n=np.arange(ROWS))
    yield _table("id: floats", None, {"id": "n"}, n=np.arange(ROWS) + 0.5)
    yield _table("id: lists", ("'n'",), {"id": "n"}, n=[[1]] * ROWS)
    yield _table("id: missing in places", None, {"id": "n"}, n=[None, *map(str, range(ROWS - 1))])
    yield _table("id: all the same", ("'n'",), {"id": "n"}, n=["s"] * ROWS)
    yield _table(
        "id: of look-alike letters",
        None,
        {"id": "n"},
        n=[("a" if n % 2 else "\u0430") + str(n // 2) for n in range(ROWS)],
    )
    yield _table(
        "id: composed and decomposed",
        None,
        {"id": "n"},
        n=[("\u00e9" if n % 2 else "e\u0301") + str(n // 2) for n in range(ROWS)],
    )
    yield _table("id: no such column", ("'n'",), {"id": "n"})
    yield _table("features: one twice", None, {"features": ("x", "x")})
    yield _table("features: none of that name", ("'z'",), {"features": ("x", "z")})
    yield _table("features: an id", ("'id'",), {"features": ("x", "id")})
    yield _table("features: lists", ("'v'",), {"features": ("x", "v")}, v=[[1.0]] * ROWS)


def _other_formats() -> Iterator[Nasty]:
    tabs = csv_text().replace(",", "\t")
    yield Nasty("tsv: good", bytes_file("data.tsv", tabs))
    yield Nasty("tsv: of commas", bytes_file("data.tsv", csv_text()))
    yield Nasty(
        "tsv.gz: cut", bytes_file("data.tsv.gz", gzip.compress(tabs.encode())[:-20]), ("data.tsv.gz",)
    )
    yield Nasty("ndjson: good", bytes_file("data.ndjson", json_lines()))
    yield Nasty("jsonl.gz: good", bytes_file("data.jsonl.gz", gzip.compress(json_lines().encode())))
    yield Nasty(
        "jsonl.gz: cut",
        bytes_file("data.jsonl.gz", gzip.compress(json_lines().encode())[:-20]),
        ("data.jsonl.gz",),
    )
    yield Nasty("jsonl.gz: not compressed", bytes_file("data.jsonl.gz", json_lines()), ("data.jsonl.gz",))
    yield Nasty("jsonl: a byte order mark", bytes_file("data.jsonl", "\ufeff" + json_lines()))
    yield Nasty(
        "jsonl: Latin-1",
        bytes_file(
            "data.jsonl", json_lines(id=["caf\u00e9"] * ROWS).replace("\\u00e9", "\u00e9").encode("latin-1")
        ),
        ("data.jsonl",),
    )
    yield Nasty("pq: good", table_file("data.parquet"), None)
    beginnings = {"pkl": b"\x80\x04\x95", "h5": b"\x89HDF\r\n\x1a\n", "doc": b"\xd0\xcf\x11\xe0"}
    for suffix in ("xlsx", "pkl", "npy", "h5", "doc"):
        content = beginnings[suffix] + bytes(64) if suffix in beginnings else csv_text()
        yield Nasty(
            f"{suffix}: of no format that is read", bytes_file(f"data.{suffix}", content), (f".{suffix}",)
        )
    yield Nasty("no suffix at all, binary", bytes_file("data", bytes(64) + b"\1\2"), ("suffix",))
    yield Nasty("no suffix at all", bytes_file("data", csv_text()))


def _bombs() -> Iterator[Nasty]:
    """Yield files that claim, or unpack to, far more than they hold."""
    yield Nasty(
        "Arrow: a message of two gigabytes",
        bytes_file(
            "data.arrow",
            b"ARROW1\0\0\xff\xff\xff\xff\xff\xff\xff\x7f"
            + b"\0" * 64
            + struct.pack("<i", 2**31 - 1)
            + b"ARROW1",
        ),
        ("data.arrow",),
    )
    yield Nasty(
        "Arrow: a stream of a huge message",
        bytes_file("data.arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64),
        ("data.arrow",),
    )
    yield Nasty(
        "Parquet: a footer of two gigabytes",
        bytes_file("data.parquet", b"PAR1" + b"\0" * 64 + struct.pack("<i", 2**31 - 1) + b"PAR1"),
        ("data.parquet",),
    )
    yield Nasty(
        "Parquet: a footer of less than nothing",
        bytes_file("data.parquet", b"PAR1" + b"\0" * 64 + struct.pack("<i", -1) + b"PAR1"),
        ("data.parquet",),
    )
    yield Nasty("Parquet: cells of a megabyte in a kilobyte", _packed_parquet)
    yield Nasty(
        "jsonl.gz: a bomb of one endless line",
        bytes_file("data.jsonl.gz", gzip.compress(b'{"x": "' + b"0" * 100_000_000, 9)),
        ("data.jsonl.gz",),
    )
    yield Nasty(
        "csv.gz: a bomb of empty lines",
        bytes_file("data.csv.gz", gzip.compress(b"x,label\n" + b"\n" * 50_000_000, 9)),
        ("data.csv.gz",),
    )
    pictures = [png(value=n) for n in range(ROWS)]
    for name, bomb in (
        ("PNG", _png_bomb(14_000)),
        ("BMP", _bmp(2**30, 2**30)),
        ("GIF", b"GIF89a\xff\xff\xff\xff\xf7\0\0" + b"\0" * 900),
    ):
        yield _table(f"pictures: a {name} bomb", None, {"image": "p"}, p=[*pictures[:3], bomb, *pictures[4:]])


def _packed_parquet(folder: Path) -> Path:
    path = folder / "data.parquet"
    pq.write_table(pa.table(columns(note=["\0" * 2**20] * ROWS)), path, compression="zstd")
    return path


def _png_bomb(side: int) -> bytes:
    """Return a PNG of side x side black pixels, which its bytes really hold."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    body = b"".join([*(packer.compress(bytes(side + 1)) for _ in range(side)), packer.flush()])
    chunks = b""
    for kind, content in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")):
        chunks += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    return b"\x89PNG\r\n\x1a\n" + chunks


def _bmp(width: int, height: int) -> bytes:
    """Return the header of a bitmap of that size, and hardly any pixels."""
    return (
        b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        + b"\0" * 46
    )


def _image_folders() -> Iterator[Nasty]:
    def folder_of(*names: str, **contents: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            root = folder / "photos"
            for number, name in enumerate(names):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents.get(path.stem, png(value=number)))
            return root

        return make

    good = [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(5)]
    yield Nasty("image folder: good", folder_of(*good), rows=10)
    yield Nasty("image folder: an empty file", folder_of(*good, "cat/empty.png", empty=b""), rows=11)
    yield Nasty(
        "image folder: a text named as a picture", folder_of(*good, "cat/text.png", text=b"hello"), rows=11
    )
    yield Nasty(
        "image folder: nothing decodes", folder_of("cat/a.png", "dog/b.png", a=b"x", b=b"y"), ("photos",)
    )
    yield Nasty("image folder: one class", folder_of("cat/a.png", "cat/b.png"), ("class",))
    yield Nasty("image folder: no classes", folder_of("a.png", "b.png"), ("photos",))
    yield Nasty("image folder: classes that look alike", folder_of("cat/a.png", "c\u0430t/b.png"), rows=2)
    yield Nasty(
        "image folder: names of escapes and markup", folder_of("\x1b[31m/<b>.png", "=1+1/b.png"), rows=2
    )
    yield Nasty("image folder: a hidden picture", folder_of(*good, "cat/.hidden.png"), rows=10)
    yield Nasty("image folder: a file of notes beside", folder_of(*good, "cat/notes.txt"), rows=10)

    def ring(folder: Path) -> Path:
        root = folder_of(*good)(folder)
        (root / "cat" / "again").symlink_to(root)
        return root

    yield Nasty("image folder: that holds itself", ring, rows=10)

    def dangling(folder: Path) -> Path:
        root = folder_of(*good)(folder)
        (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
        return root

    yield Nasty("image folder: a link to nothing", dangling, rows=10)


def _hugging_face() -> Iterator[Nasty]:
    """Yield data sets as the datasets library saves them, whole and not."""

    def saved(state: str | None = None, *, keep: float = 1.0) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            root = folder / "saved"
            root.mkdir()
            table = pa.table(columns(id=None))
            buffer = io.BytesIO()
            with pa.ipc.new_stream(buffer, table.schema) as writer:
                writer.write_table(table)
            content = buffer.getvalue()
            (root / "data-00000-of-00001.arrow").write_bytes(content[: int(keep * len(content))])
            (root / "state.json").write_text(
                state
                if state is not None
                else json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
            )
            (root / "dataset_info.json").write_text("{}")
            return root

        return make

    yield Nasty("saved data set: good", saved())
    yield Nasty("saved data set: a part that is cut", saved(keep=0.6), ("saved",))
    yield Nasty("saved data set: an empty part", saved(keep=0.0), ("saved",))
    yield Nasty("saved data set: a state that is no JSON", saved("{"), None)
    yield Nasty(
        "saved data set: a part that is not there",
        saved(json.dumps({"_data_files": [{"filename": "data-1.arrow"}]})),
        None,
    )
