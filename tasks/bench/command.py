"""`labelsweep bench NAME`: every benchmark is a sub-command. What one needs is imported when it is run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

Parsed = typer.Context
Seed = Annotated[int, typer.Option(metavar="N", help="seed of what is drawn")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="file that keeps finished results, which are not computed again"),
]
Page = Annotated[Path | None, typer.Option(metavar="FILE", help="write the tables to this file too")]
Tally = Annotated[
    Path | None, typer.Option(metavar="FILE", help="keep every trial there, and resume from it")
]
Seconds = Annotated[float | None, typer.Option(metavar="N", help="begin no trial after so many seconds")]
Cache = Annotated[Path, typer.Option(metavar="DIR", help="where fetched data is kept")]
Device = Literal["auto", "cpu", "cuda"]
InputPart = Literal["tables", "texts", "images", "command", "raters"]
CACHE = Path("data/bench")

program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
inputs, speed, scale, faults, review = (typer.Typer() for _ in range(5))


def main(arguments: Sequence[str]) -> None:
    """Run a benchmark: its name, then its options."""
    name, *options = arguments
    if name == "quality" and "--inputs" in options:
        name, options = "inputs", [option for option in options if option != "--inputs"]
    program(args=[name, *options], prog_name="labelsweep bench", standalone_mode=False)


@program.command()
def quality(
    *,
    full: Annotated[bool, typer.Option("--full", help="the whole campaign: hours")] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="mixed tables, images and texts instead: see bench inputs --help")
    ] = False,
    controls: Annotated[
        bool, typer.Option("--controls", help="what planted controls estimate, beside the truth")
    ] = False,
    real: Annotated[
        Path | None, typer.Option(metavar="DIR", help="real errors: a folder of Parquet files with the truth")
    ] = None,
    half: Annotated[
        Literal["develop", "final", "both"] | None,
        typer.Option(help="half of the settings (default: develop; with --full both)"),
    ] = None,
    data: Annotated[str, typer.Option(metavar="A,B", help="data sets (default: small ones)")] = "",
    noise: Annotated[str, typer.Option(metavar="A,B", help="kinds of error (default: all)")] = "",
    rates: Annotated[str, typer.Option(metavar="2,20", help="shares of wrong labels in percent")] = "",
    seeds: Annotated[
        int, typer.Option(metavar="N", help="seeds for each setting (default: 2, with --full 3)")
    ] = 0,
    methods: Annotated[
        str, typer.Option(metavar="A,B", help="methods by part of their name, or ours, peers, networks")
    ] = "",
    redo: Annotated[
        str, typer.Option(metavar="A,B", help="methods whose kept results are computed again")
    ] = "",
    out: Out = None,
    markdown: Page = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="processes, each with one thread")] = os.cpu_count()
    or 1,
) -> None:
    """Which method finds planted label errors best, all on the same footing.

    Without options: the bundled digits with the errors they ship with, then a selection of small settings, in minutes. A
    killed campaign continues from the file of --out.
    """
    from tasks.bench.quality import command  # noqa: PLC0415

    del inputs  # `main` has sent it to the benchmark of that name
    asked = command.Asked(
        full=full, controls=controls, real=real, half=half, data=data, noise=noise, rates=rates, seeds=seeds, methods=methods,
        redo=redo, out=out, markdown=markdown, jobs=jobs,
    )  # fmt: skip
    command.run_quality(asked)


@inputs.callback(invoke_without_command=True)
def bench_inputs(
    context: Parsed,
    *,
    seeds: Annotated[int, typer.Option(metavar="N", help="seeds of errors and folds")] = 2,
    rows: Annotated[int, typer.Option(metavar="N", help="most rows of a table")] = 2_000,
    cache: Cache = CACHE,
    only: Annotated[InputPart | None, typer.Option(help="one part of it")] = None,
    markdown: Page = None,
) -> None:
    """Mixed tables, images and texts from the raw file, beside what a user would build by hand."""
    from tasks.bench.inputs.command import run_inputs  # noqa: PLC0415

    if context.invoked_subcommand is None:
        run_inputs(seeds, rows, cache, only, markdown)


@speed.callback(invoke_without_command=True)
def bench_speed(
    context: Parsed,
    *,
    parts: Annotated[str, typer.Option(metavar="A,B", help="which to run (default: all)")] = "",
    most: Annotated[int, typer.Option(metavar="N", help="samples of the largest data set")] = 1_000_000,
    device: Annotated[Device, typer.Option(help="where tensors live")] = "auto",
    out: Out = None,
) -> None:
    """How fast the audit is, beside the peers: every ratio comes from one run on one machine."""
    from tasks.bench.speed.command import run_speed  # noqa: PLC0415

    if context.invoked_subcommand is None:
        run_speed(parts, most, device, out)


@scale.callback(invoke_without_command=True)
def bench_scale(
    context: Parsed,
    *,
    most: Annotated[
        int, typer.Option(metavar="N", help="rows of the largest run the model sees")
    ] = 1_000_000,
    large: Annotated[
        int, typer.Option(metavar="N", help="rows of the run it predicts, 0: none")
    ] = 10_000_000,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for the data (default: temporary)")
    ] = None,
    out: Out = None,
    parts: Annotated[str, typer.Option(metavar="A,B", help="which to run")] = "costs,knobs,workers",
) -> None:
    """What a larger run will cost: a model of runs up to a million rows, held against one of ten million."""
    from tasks.bench.scale.command import run_scale  # noqa: PLC0415

    if context.invoked_subcommand is None:
        run_scale(most, large, work, out, parts)


@program.command()
def theory(*, seed: Seed = 0) -> None:
    """The theory's own example: two Gaussians, ten flipped labels, pyDVL's influences beside ours."""
    from tasks.bench.theory import run_theory  # noqa: PLC0415

    run_theory(seed)


@program.command()
def digests(
    *,
    only: Annotated[str, typer.Option(metavar="A,B", help="some of the runs")] = "",
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="compare with the output of an earlier call")
    ] = None,
) -> None:
    """Print the digests of what four small runs compute, or compare them with earlier ones."""
    from tasks.bench.digests import run_digests  # noqa: PLC0415

    run_digests(only, against)


@faults.callback(invoke_without_command=True)
def bench_faults(
    context: Parsed,
    *,
    kills: Annotated[int, typer.Option(metavar="N", help="kills in all")] = 100,
    seed: Seed = 0,
    rows: Annotated[int, typer.Option(metavar="N", help="rows of the data set")] = 600,
    tally: Tally = None,
    seconds: Seconds = None,
) -> None:
    """Kill real runs, here and on a worker, at random moments, and count what was lost."""
    from tasks.bench.faults.campaign import run_kills  # noqa: PLC0415

    if context.invoked_subcommand is None:
        run_kills(kills, seed, rows, tally, seconds)


@faults.command()
def troubles(
    *,
    trials: Annotated[int, typer.Option(metavar="N", help="trials in all")] = 200,
    seed: Seed = 0,
    tally: Tally = None,
    seconds: Seconds = None,
    part: Annotated[
        str,
        typer.Option(metavar="I/N", help="the I-th of N parts, so that several processes share a campaign"),
    ] = "1/1",
) -> None:
    """Do more harm than kills to sweeps, reviews and applications at random moments, and count what was lost."""
    from tasks.bench.faults.campaign import run_troubles  # noqa: PLC0415

    run_troubles(trials, seed, tally, seconds, part)


@review.callback(invoke_without_command=True)
def bench_review(
    context: Parsed,
    *,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="data set with errors of its own")
    ] = "digits_bundled",
    seeds: Annotated[int, typer.Option(metavar="N", help="splits into audited and test samples")] = 10,
) -> None:
    """What looking at samples buys, in the order of our queue and of others."""
    from tasks.bench.review.gain import run_gain  # noqa: PLC0415

    if context.invoked_subcommand is None:
        run_gain(data, seeds)


@inputs.command("image-sizes")
def image_sizes(
    *,
    cache: Cache = CACHE,
    sets: Annotated[str, typer.Option(metavar="A,B", help="sets")] = "digits,letters,MNIST,emoji",
    sizes: Annotated[str, typer.Option(metavar="N,N", help="numbers of images")] = "1000,2500,5000",
    models: Annotated[str, typer.Option(metavar="A,B", help="kinds of model")] = "linear,cnn",
    noise: Annotated[str, typer.Option(metavar="A,B", help="kinds of error")] = "uniform,next class",
    device: Annotated[Device, typer.Option(help="where tensors live")] = "auto",
    folds: Annotated[int, typer.Option(metavar="N", help="folds")] = 5,
    rounds: Annotated[int, typer.Option(metavar="N", help="rounds")] = 2,
    seed: Seed = 0,
) -> None:
    """From which size on a compact CNN finds more wrong labels than the default maps of pixels and edges."""
    from tasks.attribute import AuditOptions  # noqa: PLC0415
    from tasks.bench.inputs.image_sizes import run_image_sizes  # noqa: PLC0415

    options = AuditOptions(device=device, seed=seed, folds=folds, rounds=rounds)
    run_image_sizes(cache, sets, sizes, models, noise, options)


@speed.command()
def gpu(
    parts: Annotated[
        str, typer.Argument(metavar="A,B", help="encoders, files, audits")
    ] = "encoders,files,audits",
    *,
    device: Annotated[Device, typer.Option(help="where tensors live")] = "auto",
    share: Annotated[float, typer.Option(metavar="X", help="share of the usual number of samples")] = 1.0,
) -> None:
    """What a GPU brings: encoders, feature files and whole audits on it, beside that machine's processor."""
    from tasks.bench.speed.gpu import run_gpu  # noqa: PLC0415

    run_gpu(parts, device, share)


@scale.command()
def stack(*, runs: Annotated[int, typer.Option(metavar="N", help="runs")] = 20) -> None:
    """Submit many runs at once to the stack on a real Postgres, and count the ends."""
    from tasks.bench.scale.stack import run_stack  # noqa: PLC0415

    run_stack(runs)


@faults.command()
def fuzz(
    targets: Annotated[list[str] | None, typer.Argument(help="what to fuzz (default: everything)")] = None,
    *,
    seconds: Annotated[int, typer.Option(metavar="N", help="seconds in all")] = 600,
) -> None:
    """A coverage-guided fuzzer on readers and imports: is every file read, or refused in one line?"""
    from tasks.bench.faults.fuzz import run_fuzz  # noqa: PLC0415

    run_fuzz(seconds, targets or [])


@review.command("kills")
def review_kills(
    *, kills: Annotated[int, typer.Option(metavar="N", help="kills in all")] = 100, seed: Seed = 0
) -> None:
    """Kill the review server while a reviewer works, and count lost decisions."""
    from tasks.bench.review.kills import run_kills  # noqa: PLC0415

    run_kills(kills, seed)


@review.command("load")
def review_load(
    *,
    reviewers: Annotated[int, typer.Option(metavar="N", help="reviewers at once")] = 200,
    decisions: Annotated[int, typer.Option(metavar="N", help="decisions in all")] = 20_000,
) -> None:
    """Many reviewers at once: is every decision in the log exactly once, and how long do they wait?"""
    from tasks.bench.review.load import run_load  # noqa: PLC0415

    run_load(reviewers, decisions)


@review.command("page")
def review_page(*, decisions: Annotated[int, typer.Option(metavar="N", help="decisions")] = 200) -> None:
    """How long a reviewer waits from the key to the next sample, in a real browser."""
    from tasks.bench.review.page import run_page  # noqa: PLC0415

    run_page(decisions)


@review.command("label-studio")
def review_label_studio(address: str, token: str) -> None:
    """The round trip through a real Label Studio server at an address."""
    from tasks.bench.review.label_studio import run_label_studio  # noqa: PLC0415

    run_label_studio(address, token)


for name, group in {
    "inputs": inputs, "speed": speed, "scale": scale, "faults": faults, "review": review,
}.items():  # fmt: skip
    program.add_typer(group, name=name)
