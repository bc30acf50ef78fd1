"""The type of a numpy array; shapes and units are in the docstrings."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
