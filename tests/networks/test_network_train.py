"""A network learns what labels have in common, not wrong labels by heart, and the same way every time."""

import pytest
import torch
from networks import digits, digits_task
from torch import nn

from tasks.errors import InputError
from tasks.heads.device import make_deterministic
from tasks.models.cnn import cnn
from tasks.models.mlp import mlp
from tasks.networks.architecture import split_network
from tasks.networks.inputs import augment_images, make_input_map
from tasks.networks.train import mean_loss, train


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_network_does_not_learn_wrong_labels_by_heart(model: str) -> None:
    _, given, truth = digits()
    task = digits_task(model)
    trained = train(task, torch.arange(300), seed=0)
    with torch.no_grad():
        predicted = trained.network(task.inputs_of(torch.arange(400))).argmax(1).numpy()
    wrong = given != truth
    assert (predicted[:300] == truth[:300])[wrong[:300]].mean() > 0.5
    assert (predicted[300:] == truth[300:]).mean() > 0.8  # of samples that it never saw


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    task = digits_task()
    trained = train(task, torch.arange(400), seed=0)
    held_out = [loss for _, loss in trained.curve]
    assert held_out[trained.best] == min(held_out)
    assert len(held_out) > trained.best
    assert trained.stopped


def test_a_single_sample_can_be_trained_on() -> None:
    assert len(train(digits_task(n=60), torch.arange(1), seed=0).curve) > 0


def test_training_is_a_function_of_data_and_seed() -> None:
    task, index = digits_task(), torch.arange(150)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(task, index, seed=3)
    assert torch.equal(torch.get_rng_state(), before)  # whoever else draws numbers is not disturbed
    torch.manual_seed(2)
    second, other = train(task, index, seed=3), train(task, index, seed=4)
    states = [trained.network.state_dict() for trained in (first, second, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert first.curve == second.curve
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_a_gpu_is_told_to_train_the_same_way_every_time_and_then_left_as_it_was() -> None:
    asked = torch.are_deterministic_algorithms_enabled
    with make_deterministic(torch.device("cuda")):
        assert asked()
    with make_deterministic(torch.device("cpu")):
        assert not asked()
    assert not asked()


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 33), (1, 1, 1)])
def test_a_network_is_its_body_and_its_head(make: object, shape: tuple[int, ...]) -> None:
    network = make(shape, 3).eval()  # type: ignore[operator]
    inputs = torch.randn(4, *shape)
    split = split_network(network, inputs)
    assert torch.equal(split.head(split.body(inputs)), network(inputs))
    assert split.body(inputs).shape == (4, split.head.in_features)


def test_a_linear_layer_alone_is_a_network() -> None:
    network, inputs = nn.Linear(5, 3), torch.randn(4, 5)
    split = split_network(network, inputs)
    assert torch.equal(split.head(split.body(inputs)), network(inputs))


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Linear(5, 3), nn.Softmax(dim=1)),
        nn.Sequential(nn.Linear(5, 4), nn.ReLU()),
        nn.Sequential(nn.Flatten()),
    ],
)
def test_a_network_that_does_not_end_in_a_linear_layer_is_refused(network: nn.Module) -> None:
    with pytest.raises(InputError, match="does not end in"):
        split_network(network.eval(), torch.randn(2, 5))


def test_images_come_to_a_network_channels_first_and_standardised() -> None:
    task = digits_task("cnn")
    colour = torch.randint(0, 255, (50, 6, 4, 3), generator=torch.Generator().manual_seed(0)).float()
    colour[..., 1] = 7.0  # a channel that is constant
    inputs = make_input_map(type(task.features)(colour.reshape(50, -1)), (6, 4, 3))
    images = inputs(colour.reshape(50, -1))
    assert images.shape == (50, 3, 6, 4)
    assert torch.allclose(
        images[:, 0], (colour[..., 0] - colour[..., 0].mean()) / colour[..., 0].std(), atol=1e-2
    )
    assert not images[:, 1].any()
    assert abs(float(images[:, 2].std()) - 1) < 1e-2


def test_augmentation_moves_images_a_little() -> None:
    image = torch.zeros(64, 1, 16, 16)
    image[:, :, 6:10, 6:10] = 1
    moved = augment_images(image, torch.Generator().manual_seed(0))
    again = augment_images(image, torch.Generator().manual_seed(0))
    assert torch.equal(moved, again)
    assert moved.shape == image.shape
    mass = moved.sum(dim=(1, 2, 3))
    assert bool(((mass > 16 * 0.75) & (mass < 16 * 1.35)).all())
    assert len(torch.unique(moved.reshape(64, -1), dim=0)) == 64


def test_a_held_out_loss_is_the_mean_over_its_samples() -> None:
    task = digits_task()
    network = task.network().eval()
    logits = network(task.inputs_of(torch.arange(30)))
    expected = nn.functional.cross_entropy(logits, task.labels[:30]).detach()
    assert mean_loss(task, network, torch.arange(30)) == pytest.approx(float(expected), rel=1e-5)
