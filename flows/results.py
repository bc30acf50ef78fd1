"""Where results are: a folder, or an object store that a local folder stands for.

On a store, runs and versions are fetched when they are asked for, and versions and decisions are published when they are made.
The decision log itself is a database and stays in the local folder (`tasks.review.exchange.shared_store`).
"""

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.addresses import OUT_VARIABLE, check_no_secret, work_folder
from tasks.errors import InputError, LabelsweepError
from tasks.review import data_set_status
from tasks.review.data_set_status import DataSetStatus, read_standings
from tasks.review.exchange.shared_store import fetch_decisions, publish_decisions
from tasks.review.log import log_path
from tasks.runs.data_sets import LATEST, choose_run
from tasks.runs.finished import find_run
from tasks.runs.history import DESCRIBING, PastRun, list_past_runs
from tasks.runs.remote import MANIFEST, fetch_folder, list_there, publish_version, read_there

# How long a decision may stay on the machine of a review server that then burns down.
PUBLISH_EVERY_SECONDS = 30.0

# Where results are unless the user names another place: the same as of `clean`.
DEFAULT = "data"


class Results:
    """The results folder that a user named.

    Args:
        out: A folder, or an address such as `s3://bucket/prefix`; None is where the run is, LABELSWEEP_OUT, or `data`.
        run: Id or folder of a run, its address, or a data set, whose newest run it is; None is the only data set. A folder
            or address brings the results that it is in: that is where its decisions are.

    Raises:
        InputError: The run is in other results than `out`.

    >>> Results("data").out, Results(None, "s3://labels/team/runs/cats-1").address
    (PosixPath('data'), 's3://labels/team')
    """

    def __init__(self, out: str | Path | None = None, run: str | None = None) -> None:
        for address in (str(out or ""), run or ""):
            check_no_secret(address)
        brought, default = None, os.environ.get(OUT_VARIABLE) or DEFAULT
        if run and "://" in run:
            brought, run = _split_address(run)
        elif run and not _is_id_in(run, str(out or default)):
            folder = Path(run).resolve()
            if folder.parent.name == "runs" and folder.is_dir():
                brought, run = str(folder.parents[1]), folder.name
        if brought and out and not _is_same(brought, str(out)):
            what = f"the run is in other results, {brought}"
            raise InputError(what, where=f"--out {out}", fix="name them, or no --out")
        out = out or brought or default
        self.address = str(out).rstrip("/") if "://" in str(out) else None
        self.out = work_folder(self.address) if self.address else Path(out)
        self._run = run

    @property
    def name(self) -> str:
        """What a person names them by, from any folder."""
        return self.address or str(self.out.absolute())

    def run(self) -> Path:
        """Return the folder of the run, or of the newest run of the data set; fetched where it is on a store.

        Raises:
            InputError: There is no such run, it has no queue, or several data sets could be meant.
        """
        if self.address is None:
            return find_run(self.out, self._run)
        if self._run and self._is_here(self._run):
            return find_run(self.out, self._run)
        run = choose_run(self._find_newest_on_store(), self._run, self.address)
        if run is None and self._run is None:
            fix = f"run `labelsweep clean SOURCE --out {self.address}` first"
            raise InputError("no run yet", where=self.address, fix=fix)
        if run is None or not self._is_here(run):
            what = f"no run '{run or self._run}'"
            raise InputError(what, where=f"{self.address}/runs", fix="see `labelsweep runs`")
        return find_run(self.out, run)

    def is_of_data_set(self, run: Path) -> bool:
        """Return whether the user named a data set, or nothing, rather than this run."""
        return self._run is None or Path(self._run).name != run.name

    def _is_here(self, run: str) -> bool:
        """Return whether a run is here, fetched where it is on the store."""
        folder = self.out / "runs" / run
        return Path(run).name == run and (
            (folder / MANIFEST).is_file() or fetch_folder(f"{self.address}/runs/{run}", folder)
        )

    def _find_newest_on_store(self) -> dict[str, str]:
        """Return the id of the newest run of each data set on the store; of stores of older runs, the newest of all."""
        names = list_there(str(self.address), f"{LATEST}/*")
        found = {name.partition("/")[2]: read_there(f"{self.address}/{name}") for name in names}
        if not found:
            found = {"": read_there(f"{self.address}/runs/latest")}
        return {key: content.decode(errors="replace").strip() for key, content in found.items() if content}

    def fetch_decisions(self) -> None:
        """Add what other machines have published."""
        if self.address:
            fetch_decisions(self.out, self.address)

    def publish_decisions(self) -> None:
        """Let other machines have the decisions that were made here."""
        if self.address:
            publish_decisions(self.out, self.address)

    def list_past_runs(self) -> list[PastRun]:
        """Return the runs, newest first: on a store those that are published, with what their files say."""
        if self.address is None:
            return list_past_runs(self.out)
        runs = (found.split("/")[0] for found in list_there(f"{self.address}/runs", f"*/{MANIFEST}"))
        with tempfile.TemporaryDirectory() as name:
            self._fetch_files(runs, DESCRIBING, Path(name))
            return list_past_runs(Path(name))

    def list_standings(self) -> list[DataSetStatus]:
        """Return how each data set stands, by name."""
        if self.address is None:
            return read_standings(self.out)
        with tempfile.TemporaryDirectory() as name:
            self._fetch_files(self._find_newest_on_store().values(), data_set_status.DESCRIBING, Path(name))
            return read_standings(Path(name))

    def _fetch_files(self, runs: Iterable[str], files: Iterable[str], here: Path) -> None:
        """Fetch some files of some runs, as they are there; one that is not there is empty."""
        for run in runs:
            for file in (MANIFEST, *files):
                content = read_there(f"{self.address}/runs/{run}/{file}")
                path = here / "runs" / Path(run).name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content or b"")

    @contextmanager
    def publish_meanwhile(self, say: Callable[[str], None]) -> Iterator[None]:
        """Publish decisions now and then while the enclosed block makes some, and at its end.

        Args:
            say: Told where the last of them could not be published.
        """
        if self.address is None:
            yield
            return
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(PUBLISH_EVERY_SECONDS):
                with suppress(LabelsweepError):  # tried again soon, and said at the end
                    self.publish_decisions()

        thread = threading.Thread(target=work, name="publishing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            try:
                self.publish_decisions()
            except LabelsweepError as error:
                say(f"the decisions are safe in {log_path(self.out)}, and not published yet: {error}")

    def fetch_versions(self) -> None:
        """Fetch the versions of data sets that are not here."""
        if self.address is None:
            return
        for name in list_there(self.address, f"datasets/*/v*/{MANIFEST}"):
            data_set, label = name.split("/")[1:3]
            folder = self.out / "datasets" / data_set / label
            if re.fullmatch(r"v\d{4,}", label) and not (folder / "version.json").is_file():
                fetch_folder(f"{self.address}/datasets/{data_set}/{label}", folder)

    def publish_versions(self, folder: Path) -> str | None:
        """Publish a version and those before it; return its address, None where results are in a folder."""
        if self.address is None:
            return None
        for earlier in sorted(folder.parent.glob("v[0-9]*")):
            if earlier.name <= folder.name:
                target = publish_version(earlier, self.address)
        return target


def _split_address(run: str) -> tuple[str, str]:
    """Return the results that a run is in, and its id."""
    out, found, run_id = run.rstrip("/").rpartition("/runs/")
    if not found:
        raise InputError("not the address of a run", where=run, fix="write it as s3://bucket/prefix/runs/ID")
    return out, run_id


def _is_id_in(run: str, out: str) -> bool:
    """Return whether a run is named by an id that the results have; only on a store that is not looked up."""
    return Path(run).name == run and ("://" in out or (Path(out) / "runs" / run).exists())


def _is_same(one: str, other: str) -> bool:
    """Return whether two names of results are of one place: an address and the folder that stands for it here are.

    >>> _is_same("s3://labels/team/", "s3://labels/team"), _is_same("data", "./data"), _is_same("data", "s3://data")
    (True, True, False)
    """
    if "://" in one:
        return one.rstrip("/") == other.rstrip("/")
    return Path(one).resolve() == (work_folder(other) if "://" in other else Path(other)).resolve()
