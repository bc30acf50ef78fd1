"""Read the shards of WebDataset: tar archives in which files of one name are one sample, `0001.jpg` and `0001.cls`.

Images become the column `image`, `.cls` the label, `.txt` the text, and each plain value of `.json` a column of its own. All
compressions of tar are read. Values are text until all of them are known, as in CSV.
"""

import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.ingest.formats import parquet
from tasks.ingest.reading import FileReader, explain_damage
from tasks.ingest.source import Part, is_image_file
from tasks.ingest.temporary_files import open_temporary_part, write_value

SUFFIXES, GZIP, TYPED = (".tar", ".tgz"), True, False

# What WebDataset calls the parts of a sample, and the columns that they become.
_NAMES = {"cls": "label", "txt": "text", "text": "text", "label": "label", "class": "label", "id": "id"}
# Samples that are written together.
_ROWS = 100
_UNPACK = "unpack it and name the file or folder, or pack it as .zip"

Sample = dict[str, Any]


def open_part(part: Part, as_text: frozenset[str]) -> FileReader:  # noqa: ARG001 (types are found out later)
    """Open a shard.

    Raises:
        InputError: It is damaged, or its files are no samples with labels.
    """
    keys: list[str] = []
    with explain_damage(part, "tar"), open_temporary_part(part, ".parquet") as (made, file):
        # A sample may lack what others have: all of them are looked at before the first is written.
        names = dict.fromkeys(name for _, sample in _read_samples(part, pictures=False) for name in sample)
        if not names.keys() - {"image", "id"}:
            what = (
                "beside its images lie no labels (.cls or .json)"
                if "image" in names
                else "its files are no samples"
            )
            raise part.problem(f"a tar archive that is no WebDataset: {what}", fix=_UNPACK)
        kinds = {name: pa.binary() if name == "image" else pa.string() for name in names}
        schema = pa.schema(list(kinds.items()))
        with pq.ParquetWriter(file, schema) as writer:
            rows: list[Sample] = []
            for key, sample in _read_samples(part):
                keys.append(key)
                rows.append(sample)
                if len(rows) == _ROWS:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    rows = []
            writer.write_table(pa.Table.from_pylist(rows, schema))
    return parquet.open_part(made).standing_for(part, lambda row: f"sample {keys[row]}")


def _read_samples(part: Part, *, pictures: bool = True) -> Iterator[tuple[str, Sample]]:
    """Yield the name and the columns of each sample; without `pictures`, images are empty."""
    before, sample = "", Sample()
    try:
        with part.open() as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                stem, _, kind = name.partition(".")
                if not member.isfile() or not stem:
                    continue
                key = f"{folder}/{stem}".strip("./")
                if key != before and sample:
                    yield before, sample
                    sample = {}
                before = key
                file = archive.extractfile(member) if pictures or not is_image_file(name) else None
                try:
                    found = _read_columns(kind.lower(), file.read() if file else b"")
                except ValueError as error:
                    raise part.problem(f"'{member.name}' is no JSON ({error})") from error
                sample.update({"id": key} | found)
    except tarfile.TarError as error:
        raise part.problem(f"damaged or truncated tar ({error})") from error
    if sample:
        yield before, sample


def _read_columns(kind: str, content: bytes) -> Sample:
    """Return what one file says of its sample; an image of depth or a mask, `depth.png`, is not the image."""
    if is_image_file(f"x.{kind}") and "." not in kind:
        return {"image": content}
    if kind in _NAMES:
        return {_NAMES[kind]: content.decode(errors="replace").strip()}
    if kind == "json":
        found = json.loads(content)
        plain = found.items() if isinstance(found, dict) else ()
        return {name: write_value(value) for name, value in plain if not isinstance(value, list | dict)}
    return {}
