"""The controls step: audit the data once more with some labels flipped on purpose, and see where they land."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tasks.arrays import Array
from tasks.attribute.combine import verdict
from tasks.attribute.rounds import Rounds, run_rounds
from tasks.controls.estimate import quality_of
from tasks.controls.plant import choose_units, shadow_of
from tasks.encode.model import settled
from tasks.heads.design import Design
from tasks.heads.members import Member
from tasks.heads.rows import with_intercept
from tasks.heads.samples import Samples, read_samples
from tasks.heads.store import load_encoding, load_parameters
from tasks.options import AuditOptions
from tasks.records import Controls, Dataset, Encoding, Model, Scores
from tasks.runs.progress import tick
from tasks.runs.step import step
from tasks.storage import read_parquet, write_json


@step(reads=lambda given: {"share": given["options"].controls})  # decides no other step
def controls(
    dataset: Dataset,
    encoding: Encoding,
    model: Model,
    scores: Scores,
    folder: Path,
    options: AuditOptions,
) -> Controls:
    """Estimate recall and precision of the queue from planted controls; the user's data stay as they are.

    Args:
        dataset: The validated data.
        encoding: The feature file, and the members of the ensemble.
        model: The fitted folds of the last round.
        scores: Its scores.
        folder: The run folder.
        options: Options of the audit. `controls` is the share of labels that are flipped.

    Raises:
        InputError: The Dask cluster cannot be used.
    """
    options = settled(options, encoding)
    samples = read_samples(dataset, encoding.features, options.device)
    before = read_parquet(scores.path, columns=["flagged"])["flagged"].to_numpy()
    believed = ~before if samples.trusted is None else ~before & ~samples.trusted
    among = samples.design(options).ordered(believed)
    given = samples.labels.cpu().numpy()
    chosen, unit = choose_units(among, given, samples.groups, options.controls, options.seed)
    if not len(chosen):
        return Controls(path=None, planted=0, found=0)
    if options.model == "linear":
        rounds = _audit_linear(samples, encoding, model, options, chosen, unit)
    else:
        from tasks.controls.networks import audit_networks  # noqa: PLC0415 (only where networks were trained)

        rounds = audit_networks(dataset, samples, encoding, model, options, chosen, unit)
    score, flagged = verdict(rounds.scores, options.score)
    quality = quality_of(score, flagged, rounds.scores.wrong, chosen, int(before.sum()), unit=unit)
    path = write_json(asdict(quality), folder / "controls.json")
    return Controls(path=path, planted=quality.planted, found=quality.found)


def _audit_linear(
    samples: Samples,
    encoding: Encoding,
    model: Model,
    options: AuditOptions,
    chosen: Array,
    unit: Array | None,
) -> Rounds:
    """Audit once more with the chosen labels flipped, from where the fits of the last round ended."""
    members = load_encoding(encoding, samples.features.like)
    thetas = load_parameters(model.path, "theta", len(members), samples.features.like)
    design = samples.design(options)
    index = torch.from_numpy(chosen).to(samples.labels.device)
    probabilities = _out_of_fold(samples, design, members, thetas, index)
    labels, votes = shadow_of(samples.labels, samples.votes, probabilities, chosen, options.seed, unit)
    return run_rounds(
        samples.features,
        labels,
        samples.n_classes,
        design,
        members,
        thetas,
        options,
        votes=votes,
        keep_probabilities=False,
        told=partial(tick, "fits and solves"),
    )


def _out_of_fold(
    samples: Samples, design: Design, members: list[Member], thetas: list[Tensor], index: Tensor
) -> Array:
    """Return the ensemble's out-of-fold probabilities of some samples, (m, C)."""
    raw, own = samples.features.take(index), design.out_of_fold(index)
    total = torch.zeros(len(index), samples.n_classes, dtype=torch.float64, device=own.device)
    for member, theta in zip(members, thetas, strict=True):
        logits = with_intercept(member.feature_map(raw)) @ theta.reshape(len(theta), -1)
        logits = logits.reshape(len(index), *theta.shape[1:])[torch.arange(len(index)), own]
        total += torch.softmax(logits.double(), dim=-1)
    probabilities: Array = (total / len(members)).cpu().numpy()
    return probabilities
