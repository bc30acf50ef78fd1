"""The packages that compute influences, on a softmax head: pyDVL, and kronfluence with its default factors."""

import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from tasks.heads.softmax import SoftmaxStack


def make_head(weight: Tensor, bias: Tensor | None = None) -> torch.nn.Linear:
    """Return a head of the packages, from features to logits, of weights (C, d) and, if there is one, a bias (C,)."""
    classes, width = weight.shape
    head = torch.nn.Linear(width, classes, bias is not None, device=weight.device, dtype=weight.dtype)
    head.weight.data = weight.contiguous()
    if bias is not None:
        head.bias.data = bias
    return head.eval()


def convert_regression(model: LogisticRegression) -> torch.nn.Linear:
    """Return the head of a logistic regression: of two classes scikit-learn keeps the difference of the logits."""
    weight, bias = torch.as_tensor(model.coef_), torch.as_tensor(model.intercept_)
    if len(weight) == 1:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return make_head(weight, bias)


def fit_pydvl(head: torch.nn.Linear, features: Tensor, labels: Tensor, l2: float) -> Any:  # noqa: ANN401 (an object of a package without types)
    """Return pyDVL's influence with the Hessian of the mean loss over some samples plus an l2 penalty."""
    from pydvl.influence.torch import DirectInfluence  # noqa: PLC0415 (imports dask)

    # One batch: pyDVL averages batches without weights, so unequal ones would bias the Hessian.
    batches = DataLoader(TensorDataset(features, labels), batch_size=len(labels))
    return DirectInfluence(head, cross_entropy, regularization=l2).fit(batches)


@contextmanager
def fit_analyzer(head: torch.nn.Linear, train: TensorDataset, batch: int) -> Iterator[Any]:
    """Yield kronfluence's analyzer of a softmax head, its factors (EK-FAC) fitted to the training samples.

    Args:
        head: From features to logits, in single precision.
        train: Features (n, d) and labels (n,).
    """
    from kronfluence.analyzer import Analyzer, prepare_model  # noqa: PLC0415 (belongs to the bench extra)
    from kronfluence.arguments import FactorArguments  # noqa: PLC0415
    from kronfluence.task import Task  # noqa: PLC0415

    class Classification(Task):  # type: ignore[misc]  # the package has no types
        def compute_train_loss(self, batch: Any, model: torch.nn.Module, sample: bool = False) -> Tensor:  # noqa: ANN401, FBT001, FBT002
            features, labels = batch
            logits = model(features)
            if sample:  # labels are drawn from the model
                labels = torch.multinomial(logits.detach().softmax(dim=1), 1).flatten()
            return cross_entropy(logits, labels, reduction="sum")

        def compute_measurement(self, batch: Any, model: torch.nn.Module) -> Tensor:  # noqa: ANN401
            return self.compute_train_loss(batch, model)

    task = Classification()
    model = prepare_model(torch.nn.Sequential(head), task)
    factors, cpu = FactorArguments("ekfac"), head.weight.device.type == "cpu"
    # The package collects garbage at every step: seconds, with the modules of the other peers in memory.
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("bench", model, task, cpu=cpu, output_dir=folder, disable_tqdm=True, log_level=40)
        analyzer.fit_all_factors("factors", train, per_device_batch_size=batch, factor_args=factors)
        yield analyzer
    gc.unfreeze()


def compute_aggregated_scores(stack: SoftmaxStack, theta: Tensor, n: int) -> Tensor:
    """Return kronfluence's influence of the first n samples on the sum of the others' losses, (n,)."""
    from kronfluence.arguments import ScoreArguments  # noqa: PLC0415 (belongs to the bench extra)

    # The package moves batches to where its model is.
    features = torch.cat([block for _, block in stack.rows.blocks()]).float().cpu()
    labels = stack.labels.cpu()
    train, query = TensorDataset(features[:n], labels[:n]), TensorDataset(features[n:], labels[n:])
    with fit_analyzer(make_head(theta[:, 0].T.float()), train, 1_024) as analyzer:
        analyzer.compute_pairwise_scores(
            "scores",
            "factors",
            query_dataset=query,
            train_dataset=train,
            per_device_query_batch_size=256,
            per_device_train_batch_size=1_024,
            score_args=ScoreArguments(aggregate_query_gradients=True),
        )
        scores: Tensor = analyzer.load_pairwise_scores("scores")["all_modules"]
    return scores.reshape(-1).double()
