"""`labelsweep bench NAME`: every benchmark is a function whose signature states its options, imported when it is run."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tasks.errors import InputError


def count_of(text: str) -> Any:  # noqa: ANN401 (what typer.Option returns)
    """Return the description of an option that is a number."""
    return typer.Option(metavar="N", help=text)


def list_of(text: str) -> Any:  # noqa: ANN401
    """Return the description of an option that is a list of names."""
    return typer.Option(metavar="A,B", help=text)


Seed = Annotated[int, count_of("seed of what is drawn")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="file that keeps finished results, which are not computed again"),
]
Cache = Annotated[Path, typer.Option(metavar="DIR", help="where fetched data is kept")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="where tensors live")]
CACHE = Path("data/bench")

# Where the function of each benchmark is, and what it tells. A name of two words is a part of what its first word names.
BENCHMARKS = {
    "digests": "digests.run_digests: SHA-256 of small runs, to compare before and after a change of the code",
    "faults": "faults.campaign.run_kills: runs killed at random moments, and what was lost",
    "faults fuzz": "faults.fuzz.run_fuzz: a coverage-guided fuzzer on readers and imports",
    "faults nights": "faults.nights.run_nights: nights of many data sets that change, workers and runs killed",
    "faults troubles": "faults.campaign.run_troubles: more harm than kills, to sweeps, reviews and applications",
    "inputs": "inputs.command.run_inputs: tables, images and texts from the raw file, beside the peers",
    "inputs image-sizes": "inputs.image_sizes.run_image_sizes: from which size on a CNN finds more",
    "quality": "quality.command.run_quality: how well the wrong labels are found, beside the peers",
    "review": "review.gain.run_gain: what looking at samples buys, in the order of our queue and of others",
    "review kills": "review.server.run_review_kills: a review server that is killed at work",
    "review label-studio": "review.label_studio.run_label_studio: the round trip through Label Studio",
    "review load": "review.server.run_load: many reviewers at once",
    "review page": "review.page.run_page: how long a person waits, in a real browser",
    "scale": "scale.command.run_scale: what a larger run will cost: a model, held against a run of ten million rows",
    "scale stack": "scale.stack.run_stack: many runs at once on the stack with Postgres",
    "speed": "speed.command.run_speed: how fast it is, beside the peers",
}


def make_program(words: Sequence[str] = ()) -> typer.Typer:
    """Return the program of all benchmarks, of which only the one that `words` begin with is imported.

    Raises:
        InputError: There is no such benchmark, or it needs a package that is not installed.
    """
    wanted = next((name for n in (2, 1) if (name := " ".join(words[:n])) in BENCHMARKS), "")
    first, _, second = wanted.partition(" ")
    if words and not wanted and not words[0].startswith("-"):
        known = ", ".join(name for name in BENCHMARKS if " " not in name)
        raise InputError(f"no benchmark '{words[0]}'", fix=f"choose one of: {known}")
    program = typer.Typer(help="Run a benchmark, side by side with the peers.", no_args_is_help=True)
    for name, about in BENCHMARKS.items():
        parts = [part for part in BENCHMARKS if part.startswith(f"{name} ")]
        text = about.partition(": ")[2] + (f" (parts: {', '.join(parts)})" if parts else "")
        if name == wanted and not second:
            program.command(name, epilog=", ".join(f"labelsweep bench {part}" for part in parts))(_load(name))
        elif " " not in name and name != first:
            program.command(name, help=text)(lambda: None)
    if second:
        group = typer.Typer()
        group.command(second)(_load(wanted))
        program.add_typer(group, name=first)
    return program


def main(arguments: Sequence[str]) -> None:
    """Run a benchmark: its name, then its options."""
    program = make_program(arguments)
    program(args=list(arguments), prog_name="labelsweep bench", standalone_mode=False)


def _load(name: str) -> Callable[..., None]:
    """Return the function of a benchmark."""
    module, _, function = BENCHMARKS[name].partition(":")[0].rpartition(".")
    warnings.simplefilter("ignore")  # what the libraries and the peers' dependencies say to each other
    with _explain_missing_package(name):
        run: Callable[..., None] = getattr(import_module(f"tasks.bench.{module}"), function)
    return _explain_missing_package(name)(run)


@contextmanager
def _explain_missing_package(benchmark: str) -> Iterator[None]:
    """Say which package a benchmark lacks: peers are imported where they are run."""
    try:
        yield
    except ModuleNotFoundError as error:
        what = f"benchmark '{benchmark}' needs {error.name}"
        raise InputError(what, fix="pip install 'labelsweep[bench]'") from error
