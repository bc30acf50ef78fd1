"""Area under the margin: how far the given label led the best other one, averaged over training.

Pleiss et al. 2020, "Identifying mislabeled data using the area under the margin ranking"; the margins are
kept by its authors' package `aum`. Their network is a deep one with a step schedule; on a few features it is
a linear head or a small multilayer perceptron, with the learning rate, momentum and weight decay of the paper
and no schedule, which is the phase of training that the paper averages over.
"""

import numpy as np

from tasks.bench.quality.case import Case, Verdict

EPOCHS = 50
BATCH = 64
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 1e-4
HIDDEN = 64


def area_under_margin_linear(case: Case) -> Verdict:
    """Score by the area under the margin of a linear head."""
    return _area_under_margin(case, hidden=None)


def area_under_margin_network(case: Case) -> Verdict:
    """Score by the area under the margin of a perceptron with one hidden layer."""
    return _area_under_margin(case, hidden=HIDDEN)


def _area_under_margin(case: Case, hidden: int | None) -> Verdict:
    import torch  # noqa: PLC0415 (seconds to import)
    from aum import AUMCalculator  # noqa: PLC0415 (belongs to the bench extra)
    from torch import nn  # noqa: PLC0415

    with torch.random.fork_rng():
        torch.manual_seed(case.seed)
        width = case.features.shape[1]
        layers: list[nn.Module] = [nn.Linear(width, hidden), nn.ReLU()] if hidden else []
        model = nn.Sequential(*layers, nn.Linear(hidden or width, case.classes))
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
        features = torch.as_tensor(case.features, dtype=torch.float32)
        labels = torch.as_tensor(case.labels)
        margins = AUMCalculator(save_dir="", compressed=True)
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(labels)), BATCH):
                logits = model(features[rows])
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(logits, labels[rows]))
                optimizer.step()
                if len(rows) > 1:  # the package squeezes a batch of one into a scalar and fails
                    margins.update(logits.detach(), labels[rows], rows.tolist())
    areas = [margins.sums[row] / margins.counts[row] for row in range(len(case.labels))]
    return Verdict(np.array(areas))
