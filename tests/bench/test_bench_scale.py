"""The cost model finds the costs that made the times, and reads them off a real run."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.bench.scale.command import list_sizes, measure_run, write_planted
from tasks.bench.scale.cost_model import COSTS, Size, fit_costs, sum_costs


def made_up(size: Size):
    """A run whose costs are known: 1 s, 2 us per row and 3 ns per number to read, 5 ns per multiply-add to fit."""
    read = 1 + 2e-6 * size.rows + 3e-9 * size.rows * size.features
    fit = 5e-9 * size.rows * size.features * size.classes * size.folds
    return pd.DataFrame([[read, 100 + 1e-4 * size.rows], [fit, 500.0]], ["ingest", "fit-1"], COSTS)


def test_a_larger_run_is_predicted_from_smaller_ones():
    model = fit_costs([(size, made_up(size)) for size in list_sizes(1_000_000)])
    large = Size(10_000_000, 64, 10, 5)
    expected, truth = sum_costs(model.predict(large)), sum_costs(made_up(large))
    assert expected == pytest.approx(truth, rel=1e-3)


def test_no_cost_is_negative():
    falling = {1_000: 3.0, 10_000: 2.0, 100_000: 1.0}
    model = fit_costs(
        [(Size(n, 4, 2, 5), pd.DataFrame([[s, 10.0]], ["flag"], COSTS)) for n, s in falling.items()]
    )
    assert model.seconds.loc["flag"].min() >= 0


def test_the_costs_of_a_real_run_are_read_and_kept(tmp_path: Path):
    size, out = Size(3_000, 8, 3, 3), tmp_path / "kept.json"
    run = measure_run(size, out, tmp_path)
    steps = list(run.index)
    assert steps[:3] == ["ingest", "validate", "encode"]
    assert {"fit-1", "attribute-2", "queue", "report"} <= set(steps)
    assert (run["seconds"] >= 0).all()
    assert (run["memory"] > 50).all()
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert measure_run(size, out, tmp_path / "nowhere").equals(run)


def test_the_data_have_the_size_and_the_share_of_errors_that_were_asked_for(tmp_path: Path):
    write_planted(tmp_path / "x.parquet", Size(5_000, 4, 3, 5))
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table.num_rows, table.schema.field("embedding").type.list_size) == (5_000, 4)
    assert set(table["label"].to_pylist()) == {"0", "1", "2"}
