"""`labelsweep bench NAME`: every benchmark is a function whose signature states its options, imported when it is run."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


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
Page = Annotated[Path | None, typer.Option(metavar="FILE", help="write the tables to this file too")]
Cache = Annotated[Path, typer.Option(metavar="DIR", help="where fetched data is kept")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="where tensors live")]
CACHE = Path("data/bench")

# A name of two words is a part of the benchmark that its first word names.
FUNCTIONS = {
    "digests": "digests.run_digests",
    "faults": "faults.campaign.run_kills",
    "faults fuzz": "faults.fuzz.run_fuzz",
    "faults troubles": "faults.campaign.run_troubles",
    "inputs": "inputs.command.run_inputs",
    "inputs image-sizes": "inputs.image_sizes.run_image_sizes",
    "quality": "quality.command.run_quality",
    "review": "review.gain.run_gain",
    "review kills": "review.server.run_review_kills",
    "review label-studio": "review.label_studio.run_label_studio",
    "review load": "review.server.run_load",
    "review page": "review.page.run_page",
    "scale": "scale.command.run_scale",
    "scale stack": "scale.stack.run_stack",
    "speed": "speed.command.run_speed",
    "speed gpu": "speed.gpu.run_gpu",
    "theory": "theory.run_theory",
}


def main(arguments: Sequence[str]) -> None:
    """Run a benchmark: its name, then its options."""
    words = 2 if " ".join(arguments[:2]) in FUNCTIONS else 1
    name, options = " ".join(arguments[:words]), list(arguments[words:])
    if name == "quality" and "--inputs" in options:  # the name under which it was published
        name, options = "inputs", [option for option in options if option != "--inputs"]
    module, _, function = FUNCTIONS[name].rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the peers' dependencies say to each other
        run = getattr(import_module(f"tasks.bench.{module}"), function)
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    parts = [f"labelsweep bench {part}" for part in FUNCTIONS if part.startswith(f"{name} ")]
    program.command(epilog=f"Parts of it: {', '.join(parts)}." if parts else None)(run)
    program(args=options, prog_name=f"labelsweep bench {name}", standalone_mode=False)
