"""A model of the user's own is tried out before anything is trained; what is wrong with it stands in one line."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.networks.factory import SIGNATURE, check_factory, load_factory

GOOD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.out = nn.Linear(7, classes)  # registered first, used last
        self.hidden = nn.Linear(width, 7)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x.flatten(1))))

def factory(feature_shape, n_classes):
    return Net(feature_shape[0], n_classes)
"""

WRONG = {
    "import sys\nsys.exit(3)": "cannot be imported",
    "1 / 0": "ZeroDivisionError",
    "def factory(:": "SyntaxError",
    "import nowhere_to_be_found": "needs 'nowhere_to_be_found'",
    "other = 1": "has no function 'factory'",
    "factory = 3": "has no function 'factory'",
    "def factory(width): ...": "cannot be called",
    "def factory(a, b, c): ...": "cannot be called",
    "def factory(shape, classes): return 'a network'": "returned a str",
    "def factory(shape, classes): raise RuntimeError('line one\\nline two')": "line one line two",
    "from torch import nn\ndef factory(shape, n): return nn.Linear(99, n)": "does not take inputs of shape",
    "from torch import nn\ndef factory(shape, n): return nn.Linear(shape[0], n + 1)": r"returned \(2, 4\)",
    "from torch import nn\ndef factory(shape, n): return nn.Sequential(nn.Linear(shape[0], n), nn.ReLU())": "does not end in",
    "from torch import nn\ndef factory(shape, n): return nn.Identity()": "returned",
    "from torch import nn\nclass N(nn.Linear):\n    def forward(self, x): return super().forward(x), 0\n"
    "def factory(shape, n): return N(shape[0], n)": "returned tuple",
    "from torch import nn\ndef factory(shape, n): return nn.Linear(shape[0], n).requires_grad_(False)": "cannot be trained",
}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> object:
    """Return a writer of a module in the working directory, under a name of its own."""
    monkeypatch.chdir(tmp_path)

    def write(source: str) -> str:
        name = f"own_model_{abs(hash((source, request.node.name)))}"
        (tmp_path / f"{name}.py").write_text(source)
        return f"{name}:factory"

    return write


def test_a_factory_in_the_working_directory_is_found_and_its_features_counted(module: object) -> None:
    model = module(GOOD)  # type: ignore[operator]
    assert check_factory(load_factory(model), model, (5,), 3) == 7


@pytest.mark.parametrize("source", WRONG, ids=WRONG.values())
def test_what_is_wrong_with_a_factory_stands_in_one_line(module: object, source: str) -> None:
    model = module(source)  # type: ignore[operator]
    with pytest.raises(InputError, match=WRONG[source]) as caught:
        check_factory(load_factory(model), model, (5,), 3)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"--model {model}: ")
    assert SIGNATURE in line


def test_a_module_that_is_not_there_is_named(module: object) -> None:
    with pytest.raises(InputError, match="no module 'absent_package'"):
        load_factory("absent_package.deep:factory")
