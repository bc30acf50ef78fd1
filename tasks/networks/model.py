"""Networks as a kind of model: one for each fold, trained on the other folds; its penultimate features are what the head sees.

What a round keeps in its folder:

network-K.safetensors   a network for each fold, as soon as it is trained, with its curve
features-K.f32          its penultimate features of all samples; of the last round only, the others can be had again
heads/                  for each fold the standardisation of these features, and the heads' regularisation
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasks.errors import InputError
from tasks.heads.design import Design
from tasks.heads.features import STORED, Features, FileFeatures, MemoryFeatures
from tasks.heads.flat_network import make_flat_network
from tasks.heads.learned import Learned, LearnedFeatures
from tasks.heads.samples import Samples
from tasks.heads.store import write_curve
from tasks.memory import choose_memory_budget
from tasks.networks.architecture import split_network
from tasks.networks.checkpoint import load_network, make_training_key, save_network
from tasks.networks.factory import Factory, check_derivatives, check_factory, load_factory, make_network
from tasks.networks.inputs import make_input_map
from tasks.networks.train import EVALUATED, Trained, TrainingTask, train
from tasks.options import AuditOptions
from tasks.records import FeatureFile
from tasks.storage import open_atomically


@dataclass(frozen=True)
class Penultimate(Learned):
    """The penultimate features of a fold's network."""

    trained: Trained | None = None


class NetworkModel(LearnedFeatures):
    """A network of one architecture on every fold; by default one that a function of the user's own makes."""

    # A network of the user's own may be deep, where 3e-3 is known to diverge.
    learning_rate: ClassVar[float] = 1e-3
    augments: ClassVar[bool] = False

    def __init__(self, samples: Samples, design: Design, options: AuditOptions) -> None:
        super().__init__(samples, design, options)
        self.task = self._make_task()

    def factory(self) -> Factory:
        """Return what makes the networks."""
        return load_factory(self.options.model)

    def _make_task(self) -> TrainingTask:
        """Return what all networks of the audit train on; refuse what cannot be trained before anything is."""
        samples, options, model = self.samples, self.options, self.options.model
        if options.params == "all" and options.solver not in ("auto", "cg"):
            raise InputError(
                "the curvature of a whole network is no matrix to factorise, and is solved by cg",
                where=f"--solver {options.solver}",
                fix="use --solver auto, or --params head",
            )
        factory, inputs = self.factory(), make_input_map(samples.features, samples.shape)
        check_factory(factory, model, inputs.shape, samples.n_classes)
        if options.params == "all":
            with torch.random.fork_rng(devices=[]):
                network = make_network(factory, model, inputs.shape, samples.n_classes).eval()
                check_derivatives(network, inputs.shape, model)
        return TrainingTask(
            _hold_in_memory(samples.features, options),
            samples.labels,
            samples.n_classes,
            inputs,
            factory,
            model,
            samples.groups,
            self.learning_rate,
            self.augments,
        )

    def learn_fold(self, index: Tensor, seed: int, fold: int, folder: Path | None) -> Penultimate:
        """Train the network of a fold, or read back the one that was trained before the run was killed."""
        task = self.task
        trained = train_or_load(task, index, seed, fold, folder)
        body = find_body(task, trained.network)

        def inputs(raw: Tensor) -> Tensor:
            return task.inputs(raw).float()

        return Penultimate(
            _compute_features(task, body, fold, folder),
            lambda raw: body(inputs(raw)),
            (lambda feature_map, theta: make_flat_network(body, feature_map, theta, task.features, inputs))
            if self.options.params == "all"
            else None,
            trained,
        )

    def note(self, learned: Sequence[Learned], number: int, folder: Path) -> None:
        """Write the networks' curves, and remove the features of the round before."""
        trained = [one.trained for one in learned if isinstance(one, Penultimate) and one.trained]
        _write_curves(trained, number, folder.parent / "network_curve.parquet")
        for features in folder.with_name(f"round-{number - 1}").glob("features-*.f32"):
            features.unlink()


def _hold_in_memory(features: Features, options: AuditOptions) -> Features:
    """Return the same features from memory where they fill at most half of the budget: training reads them many times."""
    size = features.n * features.width * features.like.element_size()
    if isinstance(features, MemoryFeatures) or size > choose_memory_budget(options.memory) // 2:
        return features
    return MemoryFeatures(torch.cat([block for _, block in features.blocks()]), features.block_rows)


def train_or_load(task: TrainingTask, index: Tensor, seed: int, fold: int, folder: Path | None) -> Trained:
    """Train a network, or read the one that was trained with the same arguments."""
    if folder is None:
        return train(task, index, seed)
    key, path = make_training_key(task, index, seed), folder / f"network-{fold}.safetensors"
    kept = load_network(task, key, path)
    if kept is not None:
        return kept
    _name_features_file(folder, fold).unlink(missing_ok=True)  # of another network: never beside this one
    trained = train(task, index, seed)
    save_network(trained, key, path)
    return trained


def find_body(task: TrainingTask, network: nn.Module) -> nn.Module:
    """Return a network without its last linear layer, in evaluation mode."""
    probe = task.inputs_of(torch.arange(min(2, task.features.n), device=task.labels.device))
    return split_network(network, probe).body.eval()


def _name_features_file(folder: Path, fold: int) -> Path:
    return folder / f"features-{fold}.f32"


def _compute_features(task: TrainingTask, body: nn.Module, fold: int, folder: Path | None) -> Features:
    """Return the penultimate features of all samples; where there is a folder, from a file in it."""
    if folder is None:
        return MemoryFeatures(torch.cat(list(_compute_blocks(task, body))))
    path, n = _name_features_file(folder, fold), task.features.n
    if not path.exists():
        with open_atomically(path) as partial, partial.open("wb") as file:
            for block in _compute_blocks(task, body):
                block.cpu().numpy().astype(STORED, copy=False).tofile(file)
    width = path.stat().st_size // (STORED.itemsize * n)
    return FileFeatures(FeatureFile(path=path, rows=n, width=width), task.features.like)


def _compute_blocks(task: TrainingTask, body: nn.Module) -> Iterator[Tensor]:
    index = torch.arange(task.features.n, device=task.labels.device)
    with torch.no_grad():
        for part in torch.split(index, EVALUATED):
            yield body(task.inputs_of(part)).to(task.features.like)


def _write_curves(networks: Sequence[Trained], number: int, path: Path) -> None:
    """Write the networks' losses by epoch after those of the rounds before."""
    rows = [
        {
            "round": number,
            "fold": fold,
            "epoch": epoch + 1,
            "loss": loss,
            "held_out_loss": held_out,
            "kept": epoch == trained.best,
        }
        for fold, trained in enumerate(networks)
        for epoch, (loss, held_out) in enumerate(trained.curve)
    ]
    write_curve(rows, number, path)
