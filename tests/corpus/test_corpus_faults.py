"""Faults that are no file of their own: locked, taken away or full while a data set is read; and tables that chance draws."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_cases import columns, csv_text, table_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.cli import run as labelsweep
from tasks.errors import InputError, LabelsweepError, ValidationFailed
from tasks.ingest import ingest
from tasks.ingest.table import SourceTable
from tasks.records import Source
from tasks.validate import validate

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user reaches, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become another user; others meet the plain case elsewhere"
)
@pytest.mark.parametrize("what", ["parts", "parts/a.csv", "parts/inner"])
def test_a_folder_or_file_without_permission_is_said_as_such(open_folder: Path, what: str) -> None:
    parts = open_folder / "parts"
    parts.mkdir()
    (parts / "inner").mkdir()
    (parts / "a.csv").write_text(csv_text())
    (open_folder / what).chmod(0)
    os.seteuid(NOBODY)  # root itself may read everything
    try:
        with pytest.raises(InputError, match=f"{what}: cannot be read: permission denied") as caught:
            ingest(Source(uri=str(parts)), open_folder / "run")
    finally:
        os.seteuid(0)
    assert "\n" not in str(caught.value)
    assert not (open_folder / "run").exists()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
@pytest.mark.parametrize("change", ["cut", "gone", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_read_whole_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, change: str
) -> None:
    path = tmp_path / f"data.{suffix}"
    if suffix == "csv":
        path.write_text(csv_text())
    elif suffix == "jsonl":
        pa.table(columns()).to_pandas().to_json(path, orient="records", lines=True)
    else:
        table_file(path.name)(tmp_path)
    scan, scans = SourceTable.scan, []

    def disturbed(table: SourceTable, *arguments: object) -> object:
        scans.append(1)
        if len(scans) == 2:
            if change == "gone":
                path.unlink()
            else:
                content = path.read_bytes()
                path.write_bytes(content[: len(content) // 2] if change == "cut" else b"\0" * len(content))
        return scan(table, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SourceTable, "scan", disturbed)
    run = tmp_path / "run"
    try:
        dataset = ingest(Source(uri=str(path)), run)
    except LabelsweepError as error:
        refusal = str(error)
    else:
        assert dataset.rows == pq.read_metadata(dataset.path).num_rows == 60
        refusal = ""
    if refusal:
        assert "\n" not in refusal
        assert path.name in refusal
        assert not list(run.rglob("*"))
    assert len(scans) >= 2


def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        with pytest.raises((OSError, LabelsweepError)) as caught:
            ingest(Source(uri="sample:digits", id="id", truth="true_label"), small / "run")
        assert "space" in str(caught.value) or "disk is full" in str(caught.value)
        assert not list(small.rglob("*.parquet"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("features: " + "[" * 5_000, "not YAML"),
        ("folds: 2024-13-45", "month"),
        ("sourc: x.csv", "'sourc'"),
        ("- source", "holds no options"),
        ("source: [", "not YAML"),
        ("source: !!python/object/apply:os.system ['id']", "not YAML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("source: \x1b[2J", "not YAML"),
        ("", "holds no options"),
    ],
)
def test_a_nasty_configuration_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | bytes, said: str
) -> None:
    config = tmp_path / "options.yaml"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert (
        labelsweep(["clean", "sample:digits", "--config", str(config), "--out", str(tmp_path / "out")]) == 2
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert "options.yaml" in line
    assert said in line
    assert not (tmp_path / "out").exists()


cells = st.one_of(
    st.none(),
    st.floats(width=64),
    st.floats(-1e3, 1e3, allow_nan=False),
)
words = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["a", "b", "=1+1", "\x1b[31m", " a", "nan", "1e5"])
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw a table of any types with a column of labels."""
    rows = draw(st.integers(0, 40))
    names = draw(st.lists(st.text(min_size=1, max_size=6), min_size=0, max_size=4, unique=True))
    kinds = {"number": cells, "text": words, "whole": st.integers(-(2**63), 2**63 - 1), "yes": st.booleans()}
    arrow = {"number": pa.float64(), "text": pa.string(), "whole": pa.int64(), "yes": pa.bool_()}
    made = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(kinds)))
        values = draw(st.lists(kinds[kind], min_size=rows, max_size=rows))
        made[name] = pa.array(values, arrow[kind])
    few = draw(st.sampled_from([words, st.sampled_from(["a", "b"])]))
    made["label"] = pa.array(draw(st.lists(few, min_size=rows, max_size=rows)), pa.string())
    return pa.table(made)


@given(tables(), st.sampled_from(["parquet", "arrow"]))
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
def test_any_table_is_read_whole_and_every_row_is_kept_or_set_aside_or_it_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, table: pa.Table, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    source = table_file(f"data.{suffix}", lambda: table)(folder)
    run = folder / "run"
    try:
        dataset = ingest(Source(uri=str(source)), run)
        left = validate(dataset, run, folds=2)
    except (InputError, ValidationFailed) as error:
        refusal = error
    else:
        assert dataset.rows == len(table)
        assert left.dataset.rows + left.quarantined == len(table)
        return
    assert "\n" not in str(refusal)
    # Never half of one. Beside the data stands why some of their rows cannot be read.
    left = sorted(path.name for path in run.glob("*.parquet") if path.name != "unreadable.parquet")
    assert left in ([], ["dataset.parquet"], ["dataset.parquet", "quarantine.parquet"])
