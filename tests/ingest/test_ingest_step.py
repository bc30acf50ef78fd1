"""The Prefect task: reads again only what changed, and tries again only where that can help."""

import errno
import os

import pyarrow.parquet as pq
import pytest
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from tasks.errors import InputError
from tasks.ingest import digest_files
from tasks.ingest.step import ingest
from tasks.records import Source


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "cats.csv"
    path.write_text("x,label\n1,a\n2,b\n")
    return path


def test_an_unchanged_source_is_not_read_again(source, tmp_path):
    first = ingest.fn(Source(uri=str(source)), tmp_path / "run")
    written = first.path.stat()
    assert ingest.fn(Source(uri=str(source)), tmp_path / "run") == first
    assert (first.path.stat().st_ino, first.path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    first.path.unlink()  # what somebody removed is made again
    assert ingest.fn(Source(uri=str(source)), tmp_path / "run") == first
    assert first.path.exists()


def test_a_changed_source_is_read_again(source, tmp_path):
    first = ingest.fn(Source(uri=str(source)), tmp_path / "run")
    source.write_text("x,label\n1,b\n2,a\n")
    stamp = source.stat().st_mtime_ns + 1
    os.utime(source, ns=(stamp, stamp))
    second = ingest.fn(Source(uri=str(source)), tmp_path / "run")
    assert second.digest != first.digest
    assert pq.read_table(second.path)["label"].to_pylist() == ["b", "a"]


def test_other_options_read_again(source, tmp_path):
    source.write_text("x,y,label\n1,3,a\n2,4,b\n")
    assert ingest.fn(Source(uri=str(source)), tmp_path / "run").feature_names == ("x", "y")
    assert ingest.fn(Source(uri=str(source), features=("y",)), tmp_path / "run").feature_names == ("y",)


def test_the_fingerprint_of_a_folder_knows_each_part(tmp_path):
    (tmp_path / "a.csv").write_text("x,label\n1,a\n")
    one = digest_files(str(tmp_path))
    (tmp_path / "b.csv").write_text("x,label\n2,b\n")
    two = digest_files(str(tmp_path))
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    assert len({one, two, digest_files(str(tmp_path))}) == 3


def test_only_faults_that_may_pass_are_tried_again():
    def again(error):
        return ingest.task.retry_condition_fn(ingest.task, None, Failed(data=error))

    assert again(ConnectionResetError("reset"))
    assert again(TimeoutError("slow"))
    assert again(OSError(errno.EIO, "input/output error"))
    assert not again(InputError("no such file"))
    assert not again(ValueError("a mistake of ours"))
    assert ingest.task.retries == 2
    assert ingest.task.cache_policy is NO_CACHE


def test_a_users_error_passes_through_the_task(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        ingest.fn(Source(uri=str(tmp_path / "nowhere.csv")), tmp_path / "run")
