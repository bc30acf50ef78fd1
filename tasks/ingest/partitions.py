"""Folders named `column=value`, as Spark, Hive and pandas write them: the column is not in the files but in their path."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

import pyarrow as pa

from tasks.errors import InputError
from tasks.ingest.reading import FileReader

# What Hive and Spark call the folder of rows without a value.
_MISSING = "__HIVE_DEFAULT_PARTITION__"


def read_folder_values(relative: str) -> dict[str, str | None]:
    """Return what the folders of a file's path say.

    >>> read_folder_values("label=New%20York/year=2024/part-0.parquet")
    {'label': 'New York', 'year': '2024'}
    >>> read_folder_values("label=50%/size=%FF/kind=%5F_HIVE_DEFAULT_PARTITION__/part-0.parquet")
    {'label': '50%', 'size': '%FF', 'kind': None}
    """
    pairs = [step.split("=", 1) for step in relative.split("/")[:-1] if "=" in step]
    decoded = {_decode(name): _decode(value) for name, value in pairs if name}
    return {name: None if value == _MISSING else value for name, value in decoded.items()}


def _decode(text: str) -> str:
    """Return a name of a folder without percent escapes; as it is where they are not UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def add_folder_columns(
    readers: Sequence[FileReader], paths: Sequence[str], as_text: frozenset[str], uri: str
) -> tuple[FileReader, ...]:
    """Return the readers with the columns that their folders say, where they say any.

    Args:
        paths: The path of each file within the source.
        as_text: Columns that must not become numbers: labels, ids.

    Raises:
        InputError: Files are in folders of different columns.
    """
    said = [read_folder_values(path) for path in paths]
    if not any(said):
        return tuple(readers)
    odd = next((place for place, values in enumerate(said) if values.keys() != said[0].keys()), None)
    if odd is not None:
        first, other = (", ".join(values) or "none" for values in (said[0], said[odd]))
        raise InputError(
            f"'{paths[odd]}' is in folders of other columns ({other}) than '{paths[0]}' ({first})",
            where=uri,
            fix="keep one layout, or name one of the folders",
        )
    kinds = {name: _choose_type([values[name] for values in said], name in as_text) for name in said[0]}
    fields = tuple(pa.field(name, kind) for name, kind in kinds.items())
    return tuple(_add_columns(reader, fields, values) for reader, values in zip(readers, said, strict=True))


def _add_columns(file: FileReader, fields: Sequence[pa.Field], values: dict[str, str | None]) -> FileReader:
    """Return the reader of a file and the columns of its folders; these win where both have one."""
    own = [field for field in file.schema if field.name not in values]
    schema = pa.schema([*own, *fields], file.schema.metadata)
    both = [name for name in values if name in file.schema.names]
    said = (f"column '{name}' is what the folders say, and not what the files hold" for name in both)

    def scan(columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        inside = [name for name in columns if name not in values]
        # A column that is not wanted still says how many rows there are.
        for batch in file.batches(inside or [next(filter(None, file.schema.names))], rows):
            beside = {
                field.name: pa.repeat(
                    pa.scalar(values[field.name], pa.string()).cast(field.type), batch.num_rows
                )
                for field in fields
            }
            found = [beside[name] if name in values else batch.column(name) for name in columns]
            yield pa.RecordBatch.from_arrays(found, names=columns)

    return replace(file, schema=schema, scan=scan, notes=(*file.notes, *said))


def _choose_type(values: Sequence[str | None], text: bool) -> pa.DataType:  # noqa: FBT001 (read once, above)
    """Return the type of a column of folders: whole numbers where each is written as one, text otherwise."""
    known = [value for value in values if value is not None]
    # Eighteen digits fit into an int64.
    whole = all(
        value.lstrip("-").isdecimal() and len(value) < 19 and str(int(value)) == value for value in known
    )
    return pa.int64() if known and whole and not text else pa.string()
