"""Every nasty input is read right or refused in one line, within bounds of time and memory, and leaves nothing half done."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_cases import Nasty, cases
from corpus_options import option_cases

from tasks.errors import InputError, StoreError
from tasks.ingest import ingest
from tasks.memory import read_peak_memory, reset_peak_memory
from tasks.records import Source

CASES = [*cases(), *option_cases()]

# The slowest cases (a gzip bomb, ten thousand columns) take 3 to 10 s of the processor; a hang that waits takes none of it.
HANG_SECONDS, WAIT_SECONDS = 120, 1_200

# 200 MB of one endless field are read in blocks; a picture that claims 3.6 gigapixels would take 3.6 GB.
MEMORY_BYTES = 1_500 * 2**20


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def hung(*_: object) -> None:
        raise TimeoutError(f"no answer in {HANG_SECONDS} s of the processor, or {WAIT_SECONDS} s in all")

    before = [(one, signal.signal(one, hung)) for one in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    signal.alarm(WAIT_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    for one, handler in before:
        signal.signal(one, handler)


def test_the_corpus_is_as_large_as_it_claims_and_names_no_case_twice() -> None:
    assert len(CASES) >= 290
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nasty_input_is_read_right_or_refused_in_one_line(case: Nasty, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    path, run = case.make(tmp_path / "source"), tmp_path / "run"
    reset_peak_memory()
    before = read_peak_memory()
    if case.said is None:
        dataset = ingest(Source(uri=str(path), **case.columns), run)
        assert dataset.rows == case.rows == pq.read_metadata(dataset.path).num_rows
    else:
        with pytest.raises((InputError, StoreError)) as caught:
            ingest(Source(uri=str(path), **case.columns), run)
        line = str(caught.value)
        assert "\n" not in line
        assert "\x1b" not in line
        assert all(part in line for part in case.said), line
        assert len(line) < 1_000
        assert not run.exists() or not list(run.rglob("*"))
    assert read_peak_memory() - before < MEMORY_BYTES
