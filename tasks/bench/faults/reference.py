"""What a campaign of faults compares with: a data set, what undisturbed commands make of it, and what files they leave."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from safetensors.numpy import load_file

from tasks.bench.faults.programs import Program, Worker
from tasks.bench.faults.reviewer import REVIEW_OPTIONS, Answer, make_answers, send_decisions, wait_for_address
from tasks.errors import LabelsweepError
from tasks.storage import hash_file, read_json
from tasks.synthesize import synthesize

ANSWERS = 12
# What an undisturbed command may take on a machine that is busy with other work.
UNDISTURBED_SECONDS = 900.0
Digests = dict[str, str]


@dataclass
class Reference:
    """The data set, and what undisturbed commands make of it.

    Attributes:
        environment: Variables of every program, which name the server.
        seconds: What an undisturbed sweep takes.
        swept: Name and digest of each file that two undisturbed sweeps agree on.
        applied: The same of the version that the decisions make; empty where there is no review.
    """

    folder: Path
    source: Path
    environment: dict[str, str]
    worker: Worker
    seconds: float = 0.0
    swept: Digests = field(default_factory=dict)
    applied: Digests = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    @property
    def results(self) -> Path:
        """Results of an undisturbed sweep without decisions."""
        return self.folder / "one-unreviewed"

    def start(
        self, stage: str, out: Path, environment: Mapping[str, str] | None = None, address: str = ""
    ) -> Program:
        """Start a `sweep` of the data set, or on the finished run a `review` server, or to `apply` the decisions.

        Args:
            out: Folder in which the results are made.
            address: Where the results go, if not into that folder.
        """
        run = (out / "runs" / "latest").resolve().name
        arguments = {
            "sweep": ["clean", str(self.source), "--quiet"],
            "review": ["review", run, *REVIEW_OPTIONS],
            "apply": ["apply", run, "--yes"],
        }[stage]
        log = out.with_name(f"{out.name}-{stage}-{time.monotonic_ns()}.log")
        return Program([*arguments, "--out", address or str(out)], environment or self.environment, log)

    def work_through(self, out: Path, *, with_review: bool) -> tuple[Digests, Digests]:
        """Sweep and, if asked, review and apply undisturbed; return the digests of the run and of the version.

        Raises:
            LabelsweepError: A command failed.
        """
        began = time.monotonic()
        check_end(self.start("sweep", out))
        self.seconds = time.monotonic() - began
        shutil.copytree(out, out.with_name(f"{out.name}-unreviewed"), symlinks=True)
        swept = digest_files(out / "runs" / "latest")
        if not with_review:
            return swept, {}
        self.answers = make_answers((out / "runs" / "latest").resolve(), ANSWERS)
        server = self.start("review", out)
        if len(send_decisions(wait_for_address(server), self.answers)) != ANSWERS:
            raise LabelsweepError("an undisturbed review failed", where=server.read_errors())
        server.kill()
        check_end(self.start("apply", out))
        return swept, digest_files(out / "datasets")


@contextmanager
def make_reference(
    folder: Path, rows: int, environment: Mapping[str, str], *, with_worker: bool
) -> Iterator[Reference]:
    """Make the data set and run everything undisturbed, twice.

    Args:
        with_worker: Whether runs are submitted to a worker, without a review.
    """
    variables = {**environment, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    if with_worker:
        check_end(Program([], variables, folder / "setup", "flows.platform.setup"))
    reference = Reference(folder, source, variables, Worker(variables, folder / "worker"))
    began = time.monotonic()
    runs = [reference.work_through(folder / name, with_review=not with_worker) for name in ("one", "other")]
    reference.swept, reference.applied = (
        dict(one.items() & other.items()) for one, other in zip(*runs, strict=True)
    )
    compared = ", ".join(sorted([*reference.swept, *reference.applied]))
    sys.stderr.write(f"compared: {compared}; ready after {time.monotonic() - began:.0f} s\n")
    try:
        yield reference
    finally:
        reference.worker.kill()


def check_end(program: Program) -> None:
    """Wait for the end of an undisturbed command.

    Raises:
        LabelsweepError: It failed.
    """
    if (end := program.end(UNDISTURBED_SECONDS)) != "survived":
        said = program.read_errors()[-300:]
        raise LabelsweepError(f"an undisturbed command ended as {end}", where=said)


def digest_files(folder: Path) -> Digests:
    """Return the digests of the files under a folder, by name."""
    root = folder.resolve()
    paths = [path for path in root.rglob("*") if path.is_file() and "latest" not in path.parts]
    return {str(path.relative_to(root)): hash_file(path) for path in paths}


def list_differences(expected: Digests, folder: Path) -> list[str]:
    """Return what is wrong with the files under a folder."""
    found = digest_files(folder)
    return [f"{name} differs" for name, digest in sorted(expected.items()) if found.get(name) != digest]


def count_finished_steps(out: Path) -> int:
    """Return how many steps the runs under `out` have finished."""
    return sum("latest" not in path.parts for path in out.glob("runs/*/steps/*.json"))


def find_broken_files(out: Path) -> list[Path]:
    """Return the files of the runs under their final names that are not whole."""
    paths = (path for path in out.glob("runs/**/*") if "latest" not in path.parts and path.is_file())
    return [path for path in paths if not path.name.endswith((".partial", ".lock")) and not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    """Return whether a file can be read to its end."""
    readers = {".parquet": pq.read_table, ".json": read_json, ".safetensors": load_file}
    try:
        if path.suffix == ".html":
            return path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        readers.get(path.suffix, Path.read_bytes)(path)
        return path.stat().st_size > 0
    except FileNotFoundError:  # by a run that continues, between being listed and being read
        return True
    except Exception:  # noqa: BLE001 (each format has errors of its own)
        return False
