"""The controls step: audit the data once more with some labels flipped on purpose, and see where they land."""

from dataclasses import asdict
from pathlib import Path

import torch

from tasks.attribute.doubts import read_doubts
from tasks.attribute.step import NOISE
from tasks.controls.shadow import audit_planted, choose_planted
from tasks.heads.ensemble import predict_unseen
from tasks.models import open_model
from tasks.options import AuditOptions
from tasks.records import Controls, Dataset, Encoding, FittedRound, Scores
from tasks.runs.step import step
from tasks.storage import read_json, read_parquet, write_json


@step(reads=lambda given: {"share": given["options"].controls})  # decides no other step
def controls(
    dataset: Dataset,
    encoding: Encoding,
    model: FittedRound,
    scores: Scores,
    folder: Path,
    options: AuditOptions,
) -> Controls:
    """Estimate recall and precision of the queue from planted controls; the user's data stay as they are.

    Args:
        encoding: The feature file, and the members of the ensemble.
        model: The fitted folds of the last round.
        options: Options of the audit. `controls` is the share of labels that are flipped.

    Raises:
        InputError: The Dask cluster cannot be used.
    """
    before = read_parquet(scores.path, columns=["flagged"])["flagged"].to_numpy()
    audited = open_model(dataset, encoding, options)
    planted = choose_planted(audited.samples, audited.design, before, options)
    if planted is None:
        return Controls(path=None, planted=0, found=0)
    ensemble = audited.load(encoding, model)
    index = torch.from_numpy(planted.chosen).to(audited.samples.labels.device)
    doubts = read_doubts(read_json(model.path / NOISE))
    believed, of_texts = predict_unseen(ensemble, index), dataset.payload == "text"
    quality = audit_planted(audited, ensemble.members, believed, planted, doubts, of_texts=of_texts)
    path = write_json(asdict(quality), folder / "controls.json")
    return Controls(path=path, planted=quality.planted, found=quality.found)
