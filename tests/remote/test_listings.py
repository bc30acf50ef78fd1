"""A source on a store is listed once for what a run is asked for and once for reading it, and no more."""

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.clean import clean_labels
from flows.cli import run
from flows.config import CleanParameters

SOURCE = "s3://labels/in/pets"


@pytest.fixture(scope="module")
def prefect_server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


def write_part(number: int) -> None:
    """Put a file of the source on the store."""
    table = pa.table(
        {
            "x": [float(n % 2) + n / 1e3 for n in range(40)],
            "label": [("cat", "dog")[n % 2] for n in range(40)],
        }
    )
    with fsspec.open(f"{SOURCE}/{number}.parquet", "wb") as file:
        pq.write_table(table, file)


def take_listings(store) -> int:
    """Return how often the source was listed since the last call; a question after one name is no list."""
    found = [path for path in store.asked if "list-type=2" in path and "in%2Fpets" in path]
    store.asked.clear()
    return sum("max-keys=1&" not in f"{path}&" for path in found)


def test_sweep_lists_its_source_at_most_twice_also_where_nothing_changed(prefect_server, s3, tmp_path):
    for number in range(3):
        write_part(number)
    parameters = CleanParameters(source=SOURCE, out=tmp_path, rounds=1, feature_map="raw", controls=0)
    options = ["--rounds", "1", "--feature-map", "raw", "--controls", "0", "--quiet", "--out", str(tmp_path)]
    first = clean_labels(parameters)
    assert first.samples == 120
    assert 1 <= take_listings(s3) <= 2
    assert clean_labels(parameters).unchanged
    assert 1 <= take_listings(s3) <= 2
    write_part(3)
    take_listings(s3)
    assert run(["clean", SOURCE, *options]) == 0
    assert 1 <= take_listings(s3) <= 2
    assert clean_labels(parameters).samples == 160
