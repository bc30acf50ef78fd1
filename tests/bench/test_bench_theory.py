"""The theory's own example comes out as the theory says, and as pyDVL says."""

import pytest
import torch

from tasks.bench.command import main
from tasks.bench.theory import Example, make_example, our_influences, pydvl_influences


@pytest.fixture(scope="module")
def example() -> Example:
    return make_example(rows=2_000)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_one_solve_gives_the_mean_of_pydvls_matrix(example: Example, solver: str) -> None:
    expected = pydvl_influences(example, solver)
    assert torch.allclose(
        our_influences(example, solver), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
    )


def test_direct_and_conjugate_gradients_agree_and_the_flipped_are_harmful(example: Example) -> None:
    direct, cg = our_influences(example, "direct"), our_influences(example, "cg")
    assert torch.allclose(direct, cg, rtol=1e-5, atol=1e-8)
    assert float(direct[example.flipped].mean()) < -0.1
    assert float(direct[~example.flipped].mean()) > 0
    assert example.accuracy > 0.99


def test_the_command_prints_both_solvers(capsys: pytest.CaptureFixture[str]) -> None:
    main(["theory"])
    printed = capsys.readouterr().out
    assert "test accuracy" in printed
    assert printed.count("labelsweep direct") == printed.count("pyDVL CG") == 2
