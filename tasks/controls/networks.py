"""The shadow audit where networks are trained: they are trained once more, on the labels with the controls flipped."""

from dataclasses import replace

import numpy as np
import torch

from tasks.arrays import Array
from tasks.attribute.networks import run_network_rounds
from tasks.attribute.rounds import Rounds
from tasks.controls.plant import shadow_of
from tasks.fit.network.stored import load_round
from tasks.fit.step import kept_samples
from tasks.heads.samples import Samples
from tasks.options import AuditOptions
from tasks.records import Dataset, Encoding, Model


def audit_networks(
    dataset: Dataset,
    samples: Samples,
    encoding: Encoding,
    model: Model,
    options: AuditOptions,
    chosen: Array,
    unit: Array | None,
) -> Rounds:
    """Audit once more with the chosen labels flipped.

    Args:
        dataset: The validated data.
        samples: Features and labels.
        encoding: Names the feature file.
        model: The last round, whose out-of-fold probabilities say what a label is flipped to.
        options: Options of the audit.
        chosen: (m,) samples whose labels are flipped.
        unit: (m,) numbers of which equal ones are flipped together; None where each is for itself.
    """
    design = samples.design(options)
    task, fitted = load_round(
        dataset, encoding, samples, kept_samples(samples, model.left_out), options, model
    )
    index = torch.from_numpy(chosen).to(samples.labels.device)
    own = design.out_of_fold(index).tolist()
    probabilities = np.empty((len(chosen), samples.n_classes))
    for fold, stack in enumerate(fitted.stacks):
        mine = np.asarray(own) == fold
        features = stack.rows.take(index[torch.from_numpy(mine).to(index.device)])
        logits = stack.logits(features, fitted.fit.theta[:, fold : fold + 1])[:, 0]
        probabilities[mine] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    shadow, votes = shadow_of(samples.labels, samples.votes, probabilities, chosen, options.seed, unit)
    return run_network_rounds(
        replace(task, labels=shadow), design, options, votes=votes, keep_probabilities=False
    )[0]
