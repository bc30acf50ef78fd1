"""Digests of small runs are the same every time, and a change in one file is named."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tasks.bench.command import main
from tasks.bench.digests import digest_file, read_digests
from tasks.errors import InputError


def test_a_run_gives_its_earlier_digests_and_a_changed_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "before.txt"
    main(["digests", "--only", "blobs"])
    kept.write_text(capsys.readouterr().out)
    earlier = read_digests(kept, ["blobs"])
    assert {"blobs/scores.parquet", "blobs/queue.parquet", "blobs/model/round-2/theta-0.safetensors"} <= {
        *earlier
    }
    main(["digests", "--only", "blobs", "--against", str(kept)])
    assert capsys.readouterr().out == f"{len(earlier)} files, all the same\n"
    kept.write_text(kept.read_text().replace(earlier["blobs/queue.parquet"], "0" * 64))
    with pytest.raises(SystemExit, match="1"):
        main(["digests", "--only", "blobs", "--against", str(kept)])
    assert capsys.readouterr().out == "blobs/queue.parquet: changed\n"


def test_tensors_count_and_what_is_said_of_them_does_not(tmp_path: Path) -> None:
    tensors = {"theta": np.arange(4.0)}
    for name, values, said in (
        ("a", tensors, "here"),
        ("b", tensors, "there"),
        ("c", {"theta": np.ones(4)}, "here"),
    ):
        save_file(values, tmp_path / f"{name}.safetensors", {"about": said})
    one, same, other = (digest_file(tmp_path / f"{name}.safetensors") for name in "abc")
    assert one == same != other


def test_a_file_that_holds_no_digests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("nothing\n")
    with pytest.raises(InputError, match="not digests"):
        main(["digests", "--against", str(tmp_path / "x.txt")])
