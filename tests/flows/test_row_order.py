"""The same table sorted otherwise is the same data: by the command, the same queue in the same order."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.cli import run


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_a_file_in_another_order_has_the_same_queue(prefect_server, tmp_path, capsys, model):
    generator = np.random.default_rng(0)
    true = generator.integers(3, size=600)
    frame = pd.DataFrame(
        {
            "height": true + generator.normal(size=600),
            "weight": np.where(generator.random(600) < 0.05, np.nan, true**2 + generator.normal(size=600)),
            "colour": np.where(generator.random(600) < 0.8, true, 0).astype(str),
            "label": np.where(generator.random(600) < 0.08, (true + 1) % 3, true),
        }
    )
    queues = []
    for name, table in (("one", frame), ("two", frame.sample(frac=1, random_state=1))):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        options = [
            "--out",
            str(tmp_path / name),
            "--quiet",
            "--controls",
            "0",
            "--folds",
            "3",
            "--model",
            model,
        ]
        assert run(["clean", str(tmp_path / f"{name}.csv"), *options]) == 0, capsys.readouterr().err
        queues.append(pq.read_table(tmp_path / name / "runs" / "latest" / "queue.parquet").to_pandas())
    one, two = queues
    assert len(one) > 10
    assert one["sample_id"].tolist() == two["sample_id"].tolist()
    assert one["suggested_label"].tolist() == two["suggested_label"].tolist()
    assert np.allclose(one["influence"], two["influence"], atol=1e-3)
