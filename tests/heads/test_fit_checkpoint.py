"""A fit that was written down comes back bit for bit, and only to whoever asks for just that fit."""

from dataclasses import replace
from functools import partial

import torch

from tasks.heads.checkpoint import load_kept_fit
from tasks.heads.newton import Fit

FIT = Fit(
    torch.rand(3, 2, 4, dtype=torch.float32, generator=torch.Generator().manual_seed(0)),
    torch.tensor([1e-5 / 3, 2e-7]),
    7,
    converged=True,
    curve=[([0.1, 1 / 3], [1.0, 2 / 7])],
)


def never() -> Fit:
    raise AssertionError("it was fitted again")


def equal(a: Fit, b: Fit) -> bool:
    tensors = torch.equal(a.theta, b.theta) and torch.equal(a.gradient_norm, b.gradient_norm)
    return tensors and (a.iterations, a.converged, a.curve) == (b.iterations, b.converged, b.curve)


def test_fit_comes_back_bit_for_bit_without_fitting(tmp_path):
    assert equal(load_kept_fit(tmp_path, 0, "key", FIT.theta, lambda: FIT), FIT)
    assert equal(load_kept_fit(tmp_path, 0, "key", FIT.theta, never), FIT)


def test_fit_of_other_inputs_or_a_broken_file_is_made_again(tmp_path):
    other = replace(FIT, theta=FIT.theta + 1, iterations=8)
    load_kept_fit(tmp_path, 0, "key", FIT.theta, lambda: FIT)
    assert equal(load_kept_fit(tmp_path, 0, "another key", FIT.theta, lambda: other), other)
    path = tmp_path / "theta-0.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert equal(load_kept_fit(tmp_path, 0, "another key", FIT.theta, lambda: FIT), FIT)
    assert equal(load_kept_fit(tmp_path, 0, "another key", FIT.theta, never), FIT)


def test_fit_in_which_one_bit_flipped_is_made_again(tmp_path):
    load_kept_fit(tmp_path, 0, "key", FIT.theta, lambda: FIT)
    path = tmp_path / "theta-0.safetensors"
    whole = path.read_bytes()
    for place in (len(whole) - 1, whole.index(b"iterations") + len(b"iterations") + 6):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        other = replace(FIT, iterations=8)
        assert equal(load_kept_fit(tmp_path, 0, "key", FIT.theta, partial(replace, other)), other)


def test_same_fit_is_the_same_bytes(tmp_path):
    for number in range(8):
        load_kept_fit(tmp_path, number, "key", FIT.theta, lambda: FIT)
    assert len({path.read_bytes() for path in tmp_path.glob("theta-*.safetensors")}) == 1
