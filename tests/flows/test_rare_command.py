"""A class of one in sixty, by the command: neither flagged as a whole nor passed over."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.cli import run


def test_a_rare_class_is_neither_all_flagged_nor_never(prefect_server, tmp_path, capsys):
    generator = np.random.default_rng(0)
    true = np.array(["common"] * 1_180 + ["rare"] * 20)
    x = generator.normal(size=(1_200, 3)) + 4.0 * (true == "rare")[:, None]
    given = true.copy()
    given[:4], given[-4:] = "rare", "common"
    names = [f"row {row}" for row in range(1_200)]
    frame = pd.DataFrame(x, columns=list("abc")).assign(label=given, name=names)
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ["--id", "name", "--out", str(tmp_path / "out"), "--quiet", "--controls", "0"]
    assert run(["clean", str(tmp_path / "t.csv"), *options]) == 0, capsys.readouterr().err
    queue = pq.read_table(tmp_path / "out" / "runs" / "latest" / "queue.parquet")["sample_id"].to_pylist()
    wrong = {*names[:4], *names[-4:]}
    assert len(wrong & set(queue)) >= 7
    assert len(set(names[1_180:-4]) & set(queue)) <= 2
    assert len(queue) < 30
