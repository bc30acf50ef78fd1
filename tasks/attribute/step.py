"""The attribute step: one solve for each member, one forward-mode pass over the data, all scores of a round."""

from dataclasses import asdict
from pathlib import Path

from tasks.attribute.combine import judge_samples
from tasks.attribute.doubts import sum_doubts
from tasks.attribute.rounds import score_round
from tasks.attribute.table import write_scores
from tasks.attribute.unseen import suggest_unseen
from tasks.heads.solve import Solution
from tasks.heads.store import save_parameters
from tasks.models import open_model
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, FittedRound, Scores
from tasks.runs.step import step
from tasks.storage import write_json

# What is known of the errors, in the folder of a round.
NOISE = "noise.json"


@step(round_of=lambda given: given["model"].round)
def attribute(
    dataset: Dataset,
    encoding: Encoding,
    model: FittedRound,
    folder: Path,  # noqa: ARG001 (the record is kept there)
    options: AuditOptions,
) -> Scores:
    """Score every sample under every label.

    Args:
        encoding: The feature file, and the members of the ensemble.

    Raises:
        InputError: The Dask cluster cannot be used.
    """
    audited = open_model(dataset, encoding, options)
    ensemble = audited.load(encoding, model)
    scored = score_round(ensemble, options, keep_probabilities=False)
    scores, solutions = scored.scores, scored.solutions
    save_parameters([solution.vector for solution in solutions], model.path, "ihvp")
    write_json(_describe_solve_convergence(solutions, model.round), model.path / "solve.json")
    is_last = model.round == options.rounds
    score, flagged = judge_samples(scores, options.score, audited.samples.verified)
    if is_last:
        scores, score, flagged = suggest_unseen(dataset, scores, score, flagged, audited.samples.verified)
    doubts = sum_doubts(scored.noise, scores.wrong, flagged, audited.samples.verified)
    write_json(asdict(doubts), model.path / NOISE)
    path = write_scores(model.path / "scores.parquet", dataset, scores, score, flagged)
    return Scores(
        path=path,
        round=model.round,
        rows=len(score),
        flagged=int(flagged.sum()),
        residual=max(float(solution.residual.max()) for solution in solutions),
        converged=model.converged and all(solution.converged for solution in solutions),
    )


def _describe_solve_convergence(solutions: list[Solution], number: int) -> list[dict[str, object]]:
    """Return the evidence of convergence, one entry for each member and fold."""
    return [
        {"round": number, "member": member, "fold": fold, "residual": residual, "converged": one.converged}
        for member, one in enumerate(solutions)
        for fold, residual in enumerate(one.residual.tolist())
    ]
