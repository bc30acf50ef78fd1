"""What a campaign of faults compares with: a data set, what undisturbed commands make of it, and what files they leave."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq
from safetensors.numpy import load_file

from tasks.bench.faults.programs import Program, Worker
from tasks.bench.faults.reviewer import Answer, make_answers, send_decisions, wait_for_address
from tasks.errors import LabelsweepError
from tasks.storage import hash_file, read_json
from tasks.synthesize import synthesize

ANSWERS = 12
# What an undisturbed command may take on a machine that is busy with other work.
UNDISTURBED_SECONDS = 900.0
Digests = Mapping[str, str]


@dataclass(frozen=True)
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
    answers: tuple[Answer, ...] = ()

    @property
    def results(self) -> Path:
        """Results of an undisturbed sweep without decisions."""
        return self.folder / "reference-unreviewed"

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
            "review": ["review", run, "--reviewer", "Ada", "--port", "0", "--controls", "0"],
            "apply": ["apply", run, "--yes"],
        }[stage]
        log = out.with_name(f"{out.name}-{stage}-{time.monotonic_ns()}.log")
        return Program([*arguments, "--out", address or str(out)], environment or self.environment, log)


@contextmanager
def make_reference(
    folder: Path, rows: int, environment: Mapping[str, str], *, served: bool
) -> Iterator[Reference]:
    """Make the data set and run everything undisturbed, twice.

    Args:
        served: Whether runs are submitted to a worker, without a review.

    Raises:
        LabelsweepError: The server could not be set up, or an undisturbed command failed.
    """
    variables = {**environment, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    source = synthesize(folder / "blobs.parquet", rows=rows, dimension=8, sigma=0.5, flips=0.05, seed=0)
    if served:
        _must_end_well(Program([], variables, folder / "setup", "flows.platform.setup"))
    began = time.monotonic()
    plain = Reference(folder, source, variables, Worker(variables, folder / "worker"))
    one, other = (_work_through(plain, folder / name, reviewed=not served) for name in ("reference", "again"))
    agreed = replace(one, swept=_agree(one.swept, other.swept), applied=_agree(one.applied, other.applied))
    spent = f"ready after {time.monotonic() - began:.0f} s"
    sys.stderr.write(f"compared: {', '.join([*agreed.swept, *agreed.applied])}; {spent}\n")
    try:
        yield agreed
    finally:
        plain.worker.stop()


def _agree(one: Digests, other: Digests) -> Digests:
    return {name: digest for name, digest in one.items() if other.get(name) == digest}


def _work_through(plain: Reference, out: Path, *, reviewed: bool) -> Reference:
    """Sweep and, if asked, review and apply; return the seconds of the sweep, the digests of both, and the answers."""
    began = time.monotonic()
    _must_end_well(plain.start("sweep", out))
    seconds = time.monotonic() - began
    shutil.copytree(out, out.with_name(f"{out.name}-unreviewed"), symlinks=True)
    swept = replace(plain, seconds=seconds, swept=digest_files(out / "runs" / "latest"))
    if not reviewed:
        return swept
    answers = tuple(make_answers((out / "runs" / "latest").resolve(), ANSWERS))
    server = plain.start("review", out)
    if len(send_decisions(wait_for_address(server), answers)) != ANSWERS:
        raise LabelsweepError("an undisturbed review failed", where=server.said())
    server.kill()
    _must_end_well(plain.start("apply", out))
    return replace(swept, applied=digest_files(out / "datasets"), answers=answers)


def _must_end_well(program: Program) -> None:
    if (end := program.end(UNDISTURBED_SECONDS)) != "survived":
        raise LabelsweepError(f"an undisturbed command ended as {end}", where=program.said()[-300:])


def digest_files(folder: Path) -> dict[str, str]:
    """Return the digests of the files under a folder, by name."""
    root = folder.resolve()
    return {
        str(path.relative_to(root)): hash_file(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and "latest" not in path.parts
    }


def list_differences(expected: Digests, folder: Path) -> list[str]:
    """Return what is wrong with the files under a folder."""
    found = digest_files(folder)
    return [f"{name} differs" for name, digest in expected.items() if found.get(name) != digest]


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
