"""Encoders whose weights come inside packages of the extras: their embeddings are a candidate beside what the data alone give.

Nothing is fetched. Weights are used only where their SHA-256 is the one that is written down here.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.encode.encoder_digest import PACKAGES, is_switched_off
from tasks.encode.pretrained import ImageModel, TextModel
from tasks.errors import InputError
from tasks.heads.device import pick_device
from tasks.models import choose_model
from tasks.options import AuditOptions
from tasks.records import Dataset
from tasks.runs.progress import report_progress

Floats = npt.NDArray[np.float32]
Contents = Sequence[Any]

# Contents that go through the model between two looks at the clock. The first ones show how fast it is.
LOOK = 64
# Contents that warm it up before the clock starts: the first ones wait for code and memory.
WARM_UP = 8


@dataclass(frozen=True)
class Packaged:
    """An encoder inside a package.

    Attributes:
        folder: The model inside the module: a folder, or a file of weights.
        weights: Its file of weights inside the module.
        digest: SHA-256 of the weights.
        make: Opens it, from its path and the device.
    """

    name: str
    module: str
    folder: str
    weights: str
    digest: str
    extra: str
    contents: str
    make: Callable[[Path, str], Callable[[Contents], Floats]]

    @property
    def path(self) -> Path | None:
        """Where the model is; None where the package is not installed."""
        spec = find_spec(self.module)
        places = list((spec and spec.submodule_search_locations) or ())
        return Path(places[0]) / self.folder if places else None

    def check(self) -> None:
        """Check the weights.

        Raises:
            InputError: They are not those that were published.
        """
        path = (self.path or Path()).parent / Path(self.weights).relative_to(Path(self.folder).parent)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.digest:
                raise InputError(
                    f"the weights of {self.name} are not those that were published (SHA-256)",
                    where=str(path),
                    fix=f"install {self.module.replace('_', '-')} again, or leave it out with --encoder none",
                )


PACKAGED = {
    # The digest of `model.safetensors` that the Hugging Face Hub publishes for sentence-transformers/all-MiniLM-L6-v2 (revision
    # 1110a24).
    "text": Packaged(
        "all-MiniLM-L6-v2",
        PACKAGES["text"],
        "model",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "text",
        "texts",
        TextModel,
    ),
    # The file's name begins its own digest, as torchvision's do; the rest is what the package's only version holds.
    "image": Packaged(
        "EfficientNet-Lite0",
        PACKAGES["image"],
        "models/efficientnet-lite0-57934424.pth",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "vision",
        "images",
        ImageModel,
    ),
}


def find_packaged(dataset: Dataset, options: AuditOptions) -> Packaged | None:
    """Return the encoder for a data set, installed or not; None where there is none, or where the model would not profit.

    `LABELSWEEP_ENCODER=none` in the environment switches it off. Networks see the data as they are. Gray images are drawings and
    scans more often than photographs.

    Args:
        options: `model` and `device` say whether networks are trained.
    """
    is_image = dataset.payload == "image"
    alone = is_image and not dataset.beside
    choice = choose_model(options, image=alone, samples=dataset.rows, device=pick_device(options.device))
    is_off = is_switched_off() or choice.model != "linear"
    is_gray = is_image and len(dataset.feature_shape) < 3
    kind = "text" if dataset.payload == "tabular" and dataset.texts else dataset.payload
    return None if is_off or is_gray else PACKAGED.get(kind)


class TooSlow(Exception):  # noqa: N818 (no error: the encoder is left out)
    """The encoder would take longer than it may."""


class Paced:
    """A model that looks at the clock: where all contents would take too long, it gives up after the first ones.

    Args:
        packaged: The encoder.
        device: Where it lives.
        total: Contents that it may be asked for.
        minutes: How long it may take.
    """

    def __init__(self, packaged: Packaged, device: str, total: int, minutes: float) -> None:
        self._packaged, self._device, self._total, self._minutes = packaged, device, total, minutes
        self._done = 0
        self._seconds = 0.0

    @cached_property
    def _model(self) -> Callable[[Contents], Floats]:
        self._packaged.check()
        return self._packaged.make(self._packaged.path or Path(), self._device)

    def __call__(self, contents: Contents) -> Floats:
        """Return one embedding for each content, (b, width).

        Raises:
            TooSlow: By the first ones, the rest would take too long.
        """
        if not self._done:
            self._model(contents[:WARM_UP])
        return np.concatenate(
            [self._encode_timed(contents[at : at + LOOK]) for at in range(0, len(contents), LOOK)]
        )

    def _encode_timed(self, contents: Contents) -> Floats:
        started = time.monotonic()
        found = self._model(contents)
        self._seconds += time.monotonic() - started
        is_first = not self._done
        self._done += len(contents)
        speed = self._done / max(self._seconds, 1e-9)
        needed = self._total / speed / 60
        if is_first and needed > self._minutes:
            raise TooSlow(
                f"{self._packaged.name} is left out: {self._total:,} {self._packaged.contents} at {speed:,.0f} a second "
                f"take {needed:.2g} minutes, and --encoder-minutes is {self._minutes:g}"
            )
        report_progress(
            f"{self._packaged.contents} embedded at {speed:,.0f} a second", self._done, self._total
        )
        return found

    @property
    def words(self) -> str:
        """The encoder, and how fast it was where it was asked."""
        if not self._done:
            return self._packaged.name
        speed = self._done / max(self._seconds, 1e-9)
        return f"{self._packaged.name} ({speed:,.0f} {self._packaged.contents} a second)"
