"""Digests of what whole runs compute: a change of the code's structure must not change one byte of it.

Four small runs go through the whole command in a temporary folder: `sample:digits`, two synthesized sets, and a network.
Their scores, queue and model files are printed as `sha256sum` does; of a file of tensors the tensors count, because its header
names the folder it was made for. Keep that output, change the code, and compare:

    labelsweep bench digests > before.txt
    labelsweep bench digests --against before.txt

Digests of two machines may differ, because their processors round differently: compare those of one machine.
"""

import hashlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from safetensors.numpy import load_file

from tasks.bench.command import list_of
from tasks.bench.helpers import choose_names, run_command
from tasks.errors import InputError
from tasks.storage import hash_file

# For each run the options of `synthesize`, if its data is drawn, and those of `clean`. Sizes are small, and otherwise arbitrary.
RUNS = {
    "digits": ("", "sample:digits"),
    "blobs": ("--rows 600 --dimension 8 --sigma 0.5", "blobs.csv"),
    "wide": ("--rows 400 --dimension 40 --sigma 1 --flips 0.1 --seed 1", "wide.parquet --rounds 3 --folds 4"),
    "network": ("--rows 200 --dimension 4 --sigma 0.5 --seed 2", "network.parquet --model mlp"),
}
COMPARED = ("scores.parquet", "queue.parquet", "model/**/*")
# Sums depend on how threads share them.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


def run_digests(
    *,
    only: Annotated[str, list_of("some of the runs")] = "",
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="compare with the output of an earlier call")
    ] = None,
) -> None:
    """Print the digests of what four small runs compute, or compare them with earlier ones; exit code 1 where one differs."""
    names = choose_names(only, RUNS, "run", "--only")
    earlier = {} if against is None else read_digests(against, names)
    with tempfile.TemporaryDirectory(prefix="labelsweep-digests-") as folder:
        found = {key: value for name in names for key, value in digest_run(name, Path(folder)).items()}
    if against is None:
        sys.stdout.write("".join(f"{digest}  {name}\n" for name, digest in found.items()))
        return
    wrong = compare_digests(earlier, found)
    sys.stdout.write("\n".join(wrong or [f"{len(found)} files, all the same"]) + "\n")
    if wrong:
        sys.exit(1)


def digest_run(name: str, folder: Path) -> dict[str, str]:
    """Run the whole command on one of `RUNS`; return the digests of what it computed, by file."""
    drawn, (source, *options) = RUNS[name][0], RUNS[name][1].split()
    if drawn:
        run_command(folder, "synthesize", source, *drawn.split())
    run_command(folder, "clean", source, "--out", name, "--quiet", *options, variables=ONE_THREAD)
    run = (folder / name / "runs" / "latest").resolve()
    files = {path for pattern in COMPARED for path in run.glob(pattern) if path.is_file()}
    return {f"{name}/{path.relative_to(run)}": digest_file(path) for path in sorted(files)}


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names, shapes, types and bytes of its tensors."""
    if path.suffix != ".safetensors":
        return hash_file(path)
    found = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        found.update(f"{name} {tensor.shape} {tensor.dtype}".encode() + tensor.tobytes())
    return found.hexdigest()


def read_digests(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the digests of some runs from the output of an earlier call.

    Raises:
        InputError: The file is missing or not such an output.
    """
    try:
        pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        return {file: digest for digest, file in pairs if file.split("/")[0] in names}
    except (OSError, ValueError) as error:
        fix = "write them with: labelsweep bench digests > FILE"
        raise InputError("not digests", where=str(path), fix=fix) from error


def compare_digests(earlier: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return one line for each file that changed, is missing or is new.

    >>> compare_digests({"a": "1", "b": "2"}, {"a": "3", "c": "4"})
    ['a: changed', 'b: missing', 'c: new']
    """
    return [
        f"{name}: {'new' if name not in earlier else 'changed' if name in found else 'missing'}"
        for name in sorted({*earlier, *found})
        if earlier.get(name) != found.get(name)
    ]
