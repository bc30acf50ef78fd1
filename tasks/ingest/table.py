"""A source as one table: its parts one after the other, with one schema of plain types."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InputError, list_names
from tasks.ingest.columns.inference import AS_WRITTEN, Conversion, infer_types
from tasks.ingest.folder import open_source_folder
from tasks.ingest.formats import list_formats
from tasks.ingest.images.folder import open_images
from tasks.ingest.nested import flatten_objects
from tasks.ingest.partitions import add_folder_columns
from tasks.ingest.reading import FileReader
from tasks.ingest.source import Part, explain_access_errors, locate
from tasks.ingest.text_folder import open_texts

# Rows that are looked at together, where nothing asks for fewer.
LOOK = 2**16


@dataclass(frozen=True)
class SourceTable:
    """What `ingest` reads: rows are numbered from 0 over all parts.

    Attributes:
        passed_over: Tables beside it that are not read.
        images_beside: How many image files lie beside it, which its columns may name.
    """

    uri: str
    readers: tuple[FileReader, ...]
    schema: pa.Schema
    conversion: Conversion = AS_WRITTEN
    passed_over: tuple[str, ...] = ()
    images_beside: int = 0

    @property
    def untyped(self) -> bool:
        """Whether the format has no types, so that a number may only look like one."""
        kind = self.readers[0].part.kind
        return kind is not None and not list_formats()[kind].TYPED

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided about the files without being asked, a line each."""
        said = (note for reader in self.readers for note in reader.notes)
        beside = (f"{name} beside the other files is not read" for name in self.passed_over)
        return tuple(dict.fromkeys([*said, *beside, *self._describe_lacking(), *self.conversion.notes]))

    def _describe_lacking(self) -> tuple[str, ...]:
        """Return what to say of columns that only some of the files have."""
        held = [
            (one.part.path.rsplit("/", 1)[-1], set(one.schema.names)) for one in self.readers if not one.image
        ]
        lacking = [(name, file) for name in self.schema.names for file, names in held if name not in names]
        if not lacking:
            return ()
        names, files = (list(dict.fromkeys(each)) for each in zip(*lacking, strict=True))
        where = files[0] if len(files) == 1 else "some of the files"
        is_not, count = ("is not", "counts") if len(names) == 1 else ("are not", "count")
        return (f"{list_names(names)} {is_not} in {where}, and {count} as missing there",)

    @property
    def image(self) -> str | None:
        """The column of the images, where the source is a folder of them."""
        return self.readers[0].image

    def scan(self, columns: Sequence[str], rows: int = LOOK) -> Iterator[pa.RecordBatch]:
        """Yield batches of the named columns in plain types, at most `rows` rows each."""
        wanted = [self.schema.field(name) for name in dict.fromkeys(columns)]
        schema = pa.schema([self.conversion.in_file(column) for column in wanted])
        row = 0
        for reader in self.readers:
            present = set(reader.schema.names)
            there = [name for name in schema.names if name in present]
            for batch in reader.batches(there or _choose_any_column(reader), rows):
                yield self.conversion.convert(_cast_to_schema(batch, schema, reader.part.shown), row)
                row += batch.num_rows

    def problem(self, what: str, *, fix: str, row: int | None = None) -> InputError:
        """Return the error about the source, or about one row, naming its file and its row or line."""
        if row is None:
            return InputError(what, where=self.uri, fix=fix)
        reader, local = self._find_reader(row)
        return reader.part.problem(f"{reader.place(local)}: {what}", fix=fix)

    def place(self, row: int) -> str:
        """Return how a person finds the row within the whole source."""
        reader, local = self._find_reader(row)
        place = reader.place(local)
        return place if len(self.readers) == 1 else f"{place} of {reader.part.path.rsplit('/', 1)[-1]}"

    def part_of(self, row: int) -> Part:
        """Return the part that a row is in."""
        return self._find_reader(row)[0].part

    @cached_property
    def _starts(self) -> list[int]:
        """Where each part begins, and where the last one ends; only several parts need to be counted."""
        starts = [0]
        if len(self.readers) > 1:
            for reader in self.readers:
                count = sum(batch.num_rows for batch in reader.batches(_choose_any_column(reader), LOOK))
                starts.append(starts[-1] + count)
        return starts

    def _find_reader(self, row: int) -> tuple[FileReader, int]:
        for reader, (start, end) in zip(self.readers, pairwise(self._starts), strict=False):
            if row < end:
                return reader, row - start
        return self.readers[0], row


def open_source(
    uri: str,
    as_text: frozenset[str],
    named: frozenset[str] = frozenset(),
    *,
    encoding: str | None = None,
    missing: frozenset[str] = frozenset(),
) -> SourceTable:
    """Open every part of a source.

    Args:
        uri: A path, an fsspec URL, or `sample:NAME`.
        as_text: Columns that a format without types must not turn into numbers.
        named: Columns that the user named; a folder of images has only some.
        encoding: Encoding of text files; None: it is found out.
        missing: What else stands for a missing value.

    Raises:
        InputError: A part cannot be read, two parts disagree about a column, or a column's name occurs twice
            or holds a NUL.
    """

    def open_table(part: Part) -> FileReader:
        reader = flatten_objects(open_part(replace(part, encoding=encoding), as_text))
        _check_names(reader)
        return reader

    folder = open_source_folder(uri)
    classes = (open_images(folder, named, open_table) or open_texts(folder, encoding)) if folder else ()
    parts = list(folder.data) if folder else locate(uri)
    kinds = sorted({part.kind or "" for part in parts})
    if len(kinds) > 1 and not classes:
        raise InputError(
            f"the folder mixes formats ({', '.join(kinds)})",
            where=uri,
            fix="save vectors and labels together: np.savez('data.npz', embedding=X, label=y)"
            if "npz" in kinds
            else "keep one format, or name one file",
        )
    relative = [part.shown.removeprefix(uri.rstrip("/")).lstrip("/") for part in parts]
    readers = classes or add_folder_columns(list(map(open_table, parts)), relative, as_text, uri)
    schema = _simplify_schema(readers[0].schema)
    for reader in readers[1:]:
        try:
            schema = pa.unify_schemas([schema, _simplify_schema(reader.schema)], promote_options="permissive")
        except pa.ArrowException as error:
            raise reader.part.problem(
                f"its columns do not fit those of the parts before it ({error})",
                fix="give all parts the same columns",
            ) from error
    table = SourceTable(
        uri,
        readers,
        schema.with_metadata(readers[0].schema.metadata),
        conversion=Conversion(missing),
        passed_over=folder.passed_over if folder else (),
        images_beside=len(folder.images) if folder and not classes else 0,
    )
    return _infer_types(table, as_text) if table.untyped else table


def _infer_types(table: SourceTable, as_text: frozenset[str]) -> SourceTable:
    """Return a table of untyped files with the types that all of its values have."""
    texts = as_text.union(*(reader.texts for reader in table.readers))
    delimiters = [reader.dialect.delimiter for reader in table.readers if reader.dialect]
    names, missing = table.schema.names, table.conversion.missing
    conversion = infer_types(table.scan(names), table.schema, texts, missing, delimiters)
    fields = [column.with_type(conversion.types.get(column.name, column.type)) for column in table.schema]
    return replace(table, schema=pa.schema(fields, table.schema.metadata), conversion=conversion)


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:
    """Open one file with the reader that its suffix names.

    Args:
        as_text: Columns that a format without types must not turn into numbers: labels, ids.

    Raises:
        InputError: The file is empty, damaged, or not what its name says.
    """
    with explain_access_errors(part.shown):
        if part.size == 0:
            raise part.problem("the file is empty")
    found = list_formats()[part.kind or ""].open_part(part, as_text)
    return (
        found if isinstance(found, FileReader) else FileReader(part, found.schema, found.batches, found.place)
    )


def regroup(batches: Iterator[pa.RecordBatch], rows: int, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of exactly `rows`, or fewer where they hold more than `limit` bytes.

    >>> parts = [pa.record_batch({"a": [1, 2, 3]}), pa.record_batch({"a": [4, 5]})]
    >>> [batch.column(0).to_pylist() for batch in regroup(iter(parts), 2, 2**20)]
    [[1, 2], [3, 4], [5]]
    """
    pending: list[pa.RecordBatch] = []
    count, size = 0, 0
    for batch in batches:
        start, each = 0, max(1, batch.nbytes // max(1, batch.num_rows))
        while start < batch.num_rows:
            room = min(rows - count, max(1, (limit - size) // each))
            piece = batch.slice(start, room)
            pending.append(piece)
            start, count, size = start + piece.num_rows, count + piece.num_rows, size + each * piece.num_rows
            if count == rows or size >= limit:
                yield _join(pending)
                pending, count, size = [], 0, 0
    if pending:
        yield _join(pending)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _choose_any_column(reader: FileReader) -> list[str]:
    """Return a column that tells how many rows there are."""
    return [next(name for name in reader.schema.names if name)]


def _check_names(reader: FileReader) -> None:
    try:
        names = [name for name in reader.schema.names if name]
    except UnicodeDecodeError as error:  # Arrow trusts what it reads, and decodes a name when it is asked for
        raise reader.part.problem("the name of a column is not UTF-8 text") from error
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise reader.part.problem(f"{times} columns are named '{name}'", fix="rename one of them")
    # Arrow finds a Parquet column by the part of its name before a NUL, which is another column or none.
    cut = next((name for name in names if "\0" in name), None)
    if cut is not None:
        raise reader.part.problem(f"column {cut!r} has a NUL in its name", fix="rename the column")
    if not names:
        raise reader.part.problem("no column has a name")


def _simplify_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema in plain types; what has no name is a row number that pandas wrote, and is left out."""
    fields = [field for field in schema if field.name]
    return pa.schema(
        [field.with_type(simplify_type(field.type)).with_nullable(nullable=True) for field in fields]
    )


def simplify_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that stands for all ways to store the same values.

    >>> simplify_type(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    """
    if isinstance(kind, pa.BaseExtensionType):
        return simplify_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return simplify_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_duration(kind):
        return pa.float64()
    return pa.string() if pa.types.is_time(kind) else kind


def _write_plain(column: pa.Array) -> pa.Array:
    """Return the values of a type that only some formats have in one that all have: durations as seconds, times as 07:45:00.

    >>> _write_plain(pa.array([90_500], pa.duration("ms"))).to_pylist()
    [90.5]
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    if pa.types.is_duration(column.type):
        moments = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return pc.divide(moments.cast(pa.float64()), 1e6)
    return column.cast(pa.time32("s"), safe=False) if pa.types.is_time(column.type) else column


def _cast_to_schema(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Return the batch with exactly the columns of `schema`; what a part does not have is null."""
    columns = []
    for field in schema:
        position = batch.schema.get_field_index(field.name)
        if position < 0:
            columns.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = _write_plain(batch.column(position))
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except pa.ArrowException as error:
            raise InputError(
                f"column '{field.name}' holds {column.type} and cannot be read as {field.type} ({error})",
                where=where,
                fix="give all parts the same columns",
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)
