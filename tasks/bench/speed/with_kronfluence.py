"""kronfluence with all evaluation gradients aggregated into one query: its nearest to one averaged solve."""

import gc
import tempfile
from typing import Any

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from tasks.heads.softmax import SoftmaxStack


class Classification(Task):  # type: ignore[misc]  # the package has no types
    """The softmax loss of a head."""

    def compute_train_loss(
        self,
        batch: Any,  # noqa: ANN401 (the package's signature)
        model: torch.nn.Module,
        sample: bool = False,  # noqa: FBT001, FBT002
    ) -> Tensor:
        """Return the sum of the losses, of labels drawn from the model if asked."""
        features, labels = batch
        logits = model(features)
        if sample:
            labels = torch.multinomial(logits.detach().softmax(dim=1), 1).flatten()
        return cross_entropy(logits, labels, reduction="sum")

    def compute_measurement(self, batch: Any, model: torch.nn.Module) -> Tensor:  # noqa: ANN401
        """Return the same of the given labels."""
        return self.compute_train_loss(batch, model)


def aggregated_scores(stack: SoftmaxStack, theta: Tensor, n: int) -> Tensor:
    """Return kronfluence's influence of the first n samples on the sum of the others' losses, (n,).

    Args:
        stack: One fold (K = 1).
        theta: (width, 1, C) its parameters.
        n: Training samples; the others are the queries.
    """
    # The package moves batches to where its model is.
    features = torch.cat([block for _, block in stack.rows.blocks()]).float().cpu()
    labels = stack.labels.cpu()
    train, query = (
        TensorDataset(features[:n], labels[:n]),
        TensorDataset(features[n:], labels[n:]),
    )
    head = torch.nn.Linear(theta.shape[0], theta.shape[2], bias=False)
    head.weight.data = theta[:, 0].T.contiguous().float()
    task = Classification()
    model = prepare_model(torch.nn.Sequential(head), task)
    gc.freeze()  # the package collects garbage at every step
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer(
            "bench",
            model,
            task,
            cpu=theta.device.type == "cpu",
            output_dir=folder,
            disable_tqdm=True,
            log_level=40,
        )
        analyzer.fit_all_factors(
            "factors", train, per_device_batch_size=1_024, factor_args=FactorArguments("ekfac")
        )
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
    gc.unfreeze()
    return scores.reshape(-1).double()
