"""Edges of an image: smooth everywhere, blind to light and contrast, chosen where they tell more, kept as they were chosen."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tasks.heads.design import make_design
from tasks.heads.edges import compute_edge_histograms
from tasks.heads.features import MemoryFeatures
from tasks.heads.members import choose_members
from tasks.heads.store import load_members, save_members
from tasks.options import AuditOptions


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def test_a_derivative_is_finite_on_any_image_even_a_blank_one():
    pixels = torch.cat([pictures(2, 48), torch.zeros(1, 48), torch.ones(1, 48)]).requires_grad_()
    compute_edge_histograms(pixels, (4, 4, 3)).square().sum().backward()
    assert torch.isfinite(pixels.grad).all()


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 3)])
def test_no_images_at_all_have_no_edges(shape):
    """As many are queued where nothing is flagged."""
    width = compute_edge_histograms(torch.zeros(1, int(np.prod(shape))), shape).shape[1]
    assert compute_edge_histograms(torch.zeros(0, int(np.prod(shape))), shape).shape == (0, width)


def test_edges_do_not_depend_on_light_and_hardly_on_contrast():
    pixels = pictures(3, 24 * 24)
    edges = compute_edge_histograms(pixels, (24, 24))[:, : 8 * 64]
    torch.testing.assert_close(
        compute_edge_histograms(pixels / 2 + 0.3, (24, 24))[:, : 8 * 64], edges, atol=0.05, rtol=0.05
    )


def test_a_turned_image_has_its_edges_turned():
    pixels = pictures(1, 16, 16)
    upright, turned = (
        compute_edge_histograms(image.reshape(1, -1), (16, 16))[:, : 8 * 64].reshape(8, 8, 8)
        for image in (pixels, pixels.rot90(1, (1, 2)))
    )
    torch.testing.assert_close(turned, upright.roll(4, 0).rot90(1, (1, 2)), atol=1e-4, rtol=1e-4)


def test_any_size_gives_cells_in_bounds():
    for shape in ((1, 1), (2, 9), (28, 28), (33, 70, 3), (200, 100)):
        found = compute_edge_histograms(pictures(2, int(np.prod(shape))), shape)
        assert torch.isfinite(found).all()
        assert found.shape[1] <= (8 + 3) * 64


def test_edges_of_real_digits_are_chosen_and_come_back_from_disk(tmp_path):
    pixels, labels = load_digits(return_X_y=True)
    raw, y = torch.from_numpy(np.float32(pixels[:600] / 16)), torch.from_numpy(labels[:600]).long()
    design = make_design(labels[:600], "crossfit", 5, 0, None)
    members = choose_members(MemoryFeatures(raw), y, design, 10, AuditOptions(device="cpu"), image=(8, 8))
    assert members[0].feature_map.name.startswith("edges")
    assert len(members) <= 3
    save_members(members, tmp_path)
    kept = load_members(tmp_path, len(members), raw[:0])
    for before, after in zip(members, kept, strict=True):
        assert torch.equal(after.feature_map(raw[:50]), before.feature_map(raw[:50]))
    plain = choose_members(
        MemoryFeatures(raw), y, design, 10, AuditOptions(device="cpu", feature_map="raw"), image=(8, 8)
    )
    assert [member.feature_map.name for member in plain] == ["raw"]
    assert members[0].log_loss < plain[0].log_loss
