"""Influence as its packages compute it: pyDVL with a dense Hessian, kronfluence with Kronecker factors.

All on the softmax head that scikit-learn fitted, in pyDVL's sign (positive = helpful) where an evaluation
set is involved.
"""

import gc
import tempfile
from typing import Any

import numpy as np

from tasks.bench.datasets import Floats, Ints
from tasks.bench.quality.case import Case, Head, Verdict


def pydvl_mean_influence(case: Case) -> Verdict:
    """Score by pyDVL's influence averaged over the evaluation samples, equally weighted, each fold in turn.

    Its threshold is 0, the sign between helpful and harmful.
    """
    import torch  # noqa: PLC0415 (seconds to import)

    score = np.zeros(len(case.labels))
    for (fit, held), head in zip(case.folds, case.heads, strict=True):
        influence = _direct(case, head, fit)
        matrix = influence.influences(*_tensors(case, held), *_tensors(case, fit))  # (held, fit)
        score[fit] += torch.mean(matrix, dim=0).numpy()
    score /= len(case.folds) - 1
    return Verdict(score, flagged=score < 0)


def pydvl_self_influence(case: Case) -> Verdict:
    """Score by pyDVL's influence of a sample on itself: the larger, the more the fit owes to it alone."""
    rows = np.arange(len(case.labels))
    influence = _direct(case, case.head, rows)
    own: list[Floats] = []
    for part in np.array_split(
        rows, max(1, len(rows) // 256)
    ):  # all pairs of a block; the diagonal is wanted
        tensors = _tensors(case, part)
        own.append(influence.influences(*tensors, *tensors).diagonal().numpy())
    return Verdict(-np.concatenate(own))


def _direct(case: Case, head: Head, rows: Ints) -> Any:  # noqa: ANN401 (an object of a package without types)
    """Return pyDVL's DirectInfluence with the Hessian of the mean loss over `rows` plus the l2 of the fit."""
    import torch  # noqa: PLC0415 (seconds to import)
    from pydvl.influence.torch import DirectInfluence  # noqa: PLC0415
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415

    influence = DirectInfluence(_linear(head), torch.nn.functional.cross_entropy, regularization=head.l2)
    # One batch: pyDVL averages batches without weights, so unequal ones would bias the Hessian.
    return influence.fit(DataLoader(TensorDataset(*_tensors(case, rows)), batch_size=len(rows)))


def kronfluence_self_influence(case: Case) -> Verdict:
    """Score by kronfluence's self-influence with its default factors (EK-FAC)."""
    import torch  # noqa: PLC0415 (seconds to import)
    from kronfluence.analyzer import Analyzer, prepare_model  # noqa: PLC0415 (belongs to the bench extra)
    from kronfluence.arguments import FactorArguments  # noqa: PLC0415
    from torch.utils.data import TensorDataset  # noqa: PLC0415

    from tasks.bench.speed.with_kronfluence import Classification  # noqa: PLC0415

    task = Classification()
    features, labels = _tensors(case, np.arange(len(case.labels)))
    data = TensorDataset(features.float(), labels)
    model = prepare_model(torch.nn.Sequential(_linear(case.head).float()), task)
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        torch.manual_seed(case.seed)
        # The package collects garbage at every step: seconds, with the modules of the other peers in memory.
        gc.freeze()
        analyzer = Analyzer(
            "bench", model, task, cpu=True, output_dir=folder, disable_tqdm=True, log_level=40
        )
        analyzer.fit_all_factors(
            "factors", data, per_device_batch_size=256, factor_args=FactorArguments("ekfac")
        )
        analyzer.compute_self_scores("scores", "factors", data, per_device_train_batch_size=256)
        scores = analyzer.load_self_scores("scores")["all_modules"]
        gc.unfreeze()
    return Verdict(-scores.double().numpy())


def _linear(head: Head) -> Any:  # noqa: ANN401 (torch is imported late)
    import torch  # noqa: PLC0415 (seconds to import)

    model = torch.nn.Linear(head.weight.shape[1], len(head.bias)).double()
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(head.weight))
        model.bias.copy_(torch.as_tensor(head.bias))
    return model.eval()


def _tensors(case: Case, rows: Ints) -> tuple[Any, Any]:
    import torch  # noqa: PLC0415 (seconds to import)

    return torch.as_tensor(case.features[rows]), torch.as_tensor(case.labels[rows])
