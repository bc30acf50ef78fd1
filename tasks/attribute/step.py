"""The attribute step: one solve for each member, one forward-mode pass over the data, all scores of a round."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.attribute.combine import SampleScores, combine, judge, verdict
from tasks.attribute.estimate import estimate_noise
from tasks.attribute.ihvp import solve_ihvp
from tasks.attribute.influence import BlockScores, score_blocks
from tasks.attribute.table import write_scores
from tasks.attribute.unseen import suggest_unseen
from tasks.encode.model import settled
from tasks.fit.step import kept_samples, stacks_of_round
from tasks.heads.samples import Samples, read_samples
from tasks.heads.solve import Solution
from tasks.heads.store import load_encoding, load_parameters, save_parameters
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, Model, Scores
from tasks.runs.progress import tick
from tasks.runs.step import step
from tasks.storage import write_json


@step(round_of=lambda given: given["model"].round)
def attribute(
    dataset: Dataset,
    encoding: Encoding,
    model: Model,
    folder: Path,  # noqa: ARG001 (the record is kept there)
    options: AuditOptions,
) -> Scores:
    """Score every sample under every label.

    Args:
        dataset: The validated data.
        encoding: The feature file, and the members of the ensemble.
        model: The fitted folds of the round.
        folder: The run folder.
        options: Options of the audit.

    Raises:
        InputError: The Dask cluster cannot be used.
    """
    options = settled(options, encoding)
    samples = read_samples(dataset, encoding.features, options.device)
    if options.model == "linear":
        solutions, scores = _score_linear(encoding, model, samples, options)
    else:
        from tasks.attribute.networks import score_round  # noqa: PLC0415 (only where a network is asked for)
        from tasks.fit.network.stored import load_round  # noqa: PLC0415

        keep, design = kept_samples(samples, model.left_out), samples.design(options)
        task, fitted = load_round(dataset, encoding, samples, keep, options, model)
        scored = score_round(task, fitted, design, options, votes=samples.votes, keep_probabilities=False)
        solutions, scores = [scored.solution], scored.scores
    save_parameters([solution.vector for solution in solutions], model.path, "ihvp")
    write_json(_solve_convergence(solutions, model.round), model.path / "solve.json")
    is_last = model.round == options.rounds
    score, flagged = (verdict if is_last else judge)(scores, options.score)
    if is_last:
        scores, score, flagged = suggest_unseen(dataset, scores, score, flagged)
    path = write_scores(model.path / "scores.parquet", dataset, scores, score, flagged)
    return Scores(
        path=path,
        round=model.round,
        rows=len(score),
        flagged=int(flagged.sum()),
        residual=max(float(solution.residual.max()) for solution in solutions),
        converged=model.converged and all(solution.converged for solution in solutions),
    )


def _counted(blocks: Iterable[BlockScores], rows: int) -> Iterator[BlockScores]:
    """Say how far the pass over the data is."""
    for block in blocks:
        yield block
        tick("rows", block.rows.stop, rows)


def _score_linear(
    encoding: Encoding, model: Model, samples: Samples, options: AuditOptions
) -> tuple[list[Solution], SampleScores]:
    """Solve and score with every member of the ensemble."""
    like = samples.features.like
    members = load_encoding(encoding, like)
    thetas = load_parameters(model.path, "theta", len(members), like)
    stacks = stacks_of_round(samples, samples.design(options), members, model.left_out, options)
    solutions = [
        solve_ihvp(stack, theta, options.solver) for stack, theta in zip(stacks, thetas, strict=True)
    ]
    blocks = [score_blocks(s, t, v.vector) for s, t, v in zip(stacks, thetas, solutions, strict=True)]
    blocks[0] = _counted(blocks[0], samples.features.n)
    noise = estimate_noise(stacks, thetas, options.seed, samples.votes)
    return solutions, combine(blocks, samples.labels, noise, votes=samples.votes, keep_probabilities=False)


def _solve_convergence(solutions: list[Solution], number: int) -> list[dict[str, object]]:
    """Return the evidence of convergence, one entry for each member and fold."""
    return [
        {"round": number, "member": member, "fold": fold, "residual": residual, "converged": one.converged}
        for member, one in enumerate(solutions)
        for fold, residual in enumerate(one.residual.tolist())
    ]
