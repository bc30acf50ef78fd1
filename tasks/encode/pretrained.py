"""The user's own encoder: a model on disk that turns a text or an image into an embedding.

A folder is read as the libraries write it: sentence-transformers for texts, transformers or timm for images; beside it, a file of
weights of torchvision (`tasks.encode.vision`). Nothing is fetched, no code of a folder is run, and weights are read only in ways
that cannot run a program.
"""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tasks.encode.encoder_digest import WEIGHTS
from tasks.encode.vision import Vision, hide_broken_torchvision, open_vision
from tasks.errors import InputError
from tasks.heads.device import pick_device

Floats = npt.NDArray[np.float32]

# Samples that go through the model at once. 32 pages of text fit into 2 GiB; an H200 embeds twice as many short texts a second
# with 128 at once, and no more with 256 (docs/results/gpu.md).
BATCH, LARGE_BATCH = 32, 128
# 128 pages fit into 8 GiB; the model and others on the same GPU have as much again.
LARGE_MEMORY = 16e9


def check_folder(folder: Path) -> None:
    """Check that a folder holds a model, or a file weights, before anything else is done.

    Raises:
        InputError: There is none, or the weights of a folder are not safetensors.
    """
    where = f"--encoder {folder}"
    if folder.is_file():
        if folder.suffix not in WEIGHTS:
            raise InputError(
                "neither the folder of a model nor a file of weights",
                where=where,
                fix=f"name a folder, or one of torchvision's files ({', '.join(WEIGHTS)})",
            )
        return
    if not (folder / "config.json").is_file():
        raise InputError(
            "no model in this folder (no config.json)", where=where, fix="name a model that was saved to disk"
        )
    if not any(folder.rglob("*.safetensors")):
        raise InputError(
            "its weights are not safetensors, and other formats can run programs",
            where=where,
            fix="save it again with save_pretrained(..., safe_serialization=True)",
        )


def choose_batch_size(device: torch.device) -> int:
    """Return how many samples go through a model at once."""
    if device.type != "cuda":
        return BATCH
    return LARGE_BATCH if torch.cuda.get_device_properties(device).total_memory >= LARGE_MEMORY else BATCH


class _Model:
    """A model in a folder; `batch` samples go through it at once."""

    def __init__(self, folder: Path, device: str, batch: int | None = None) -> None:
        self._folder = folder
        self._device = pick_device(device)
        self._batch = batch or choose_batch_size(self._device)


class TextModel(_Model):
    """A sentence-transformers model; `batch` texts go through it at once."""

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 (a class of an optional package)
        hide_broken_torchvision()
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (seconds to import)
        except ModuleNotFoundError as error:
            raise _explain_missing("sentence-transformers", "text") from error
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()  # of weights read from disk
        with _explain_unreadable(self._folder):
            return SentenceTransformer(
                str(self._folder),
                device=str(self._device),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return one embedding for each text, (b, width)."""
        found = self._model.encode(
            list(texts), batch_size=self._batch, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)


class ImageModel(_Model):
    """A vision model of transformers, timm or torchvision; `batch` images go through it at once, decoded in threads."""

    @cached_property
    def _vision(self) -> Vision:
        try:
            with _explain_unreadable(self._folder):
                vision = open_vision(self._folder)
        except ModuleNotFoundError as error:
            raise _explain_missing(str(error.name), "vision") from error
        vision.module.to(self._device).eval()
        return vision

    def __call__(self, files: Sequence[bytes]) -> Floats:
        """Return one embedding for each image file, (b, width)."""
        vision = self._vision
        found = []
        with ThreadPoolExecutor(os.cpu_count()) as pool, torch.no_grad():
            for start in range(0, len(files), self._batch):
                seen = list(
                    pool.map(partial(prepare_image, how=vision.how), files[start : start + self._batch])
                )
                pixels = torch.from_numpy(np.stack(seen)).to(self._device)
                found.append(vision.model(pixels).flatten(1).float().cpu().numpy())
        return np.asarray(np.concatenate(found), np.float32)


def prepare_image(file: bytes, how: dict[str, Any]) -> Floats:
    """Return an image as a model was trained to see it: (3, height, width).

    Args:
        file: A PNG or JPEG file.
        how: In the words of the transformers library's `preprocessor_config.json`; without a centre crop the image is stretched.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415

    size, crop = how.get("size", {}), how.get("crop_size") or {}
    side = size.get("height") or size.get("shortest_edge") or 224
    kept = crop.get("height", side) if how.get("do_center_crop") else side
    by = Image.Resampling(how.get("resample", Image.Resampling.BICUBIC))
    with Image.open(io.BytesIO(file)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
        if how.get("do_center_crop") and "shortest_edge" in size:
            scale = side / min(image.size)
            width, height = (max(kept, int(edge * scale)) for edge in image.size)
            left, top = round((width - kept) / 2), round((height - kept) / 2)
            image = image.resize((width, height), by).crop((left, top, left + kept, top + kept))
        else:
            image = image.resize((kept, kept), by)
    values = np.asarray(image, np.float32) * np.float32(how.get("rescale_factor", 1 / 255))
    mean, deviation = (np.array(how.get(key, 0.5), np.float32) for key in ("image_mean", "image_std"))
    return np.ascontiguousarray(((values - mean) / deviation).transpose(2, 0, 1))


@contextmanager
def _explain_unreadable(folder: Path) -> Iterator[None]:
    """Say in one line what a library says of a folder that it cannot read."""
    try:
        yield
    except (InputError, ModuleNotFoundError):
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, UnpicklingError) as error:
        lines = str(error).strip().splitlines()
        raise InputError(
            f"the model cannot be read ({(lines or [type(error).__name__])[0][:160]})",
            where=f"--encoder {folder}",
            fix="name what sentence-transformers, transformers, timm or torchvision saved",
        ) from error


def _explain_missing(package: str, extra: str) -> InputError:
    return InputError(
        f"{package} is not installed", where="--encoder", fix=f"pip install 'labelsweep[{extra}]'"
    )
