"""The user's own encoder: a model on disk that turns a text or an image into an embedding.

A folder is read as the libraries write it: sentence-transformers for texts, transformers for images. Nothing is fetched, no code
of the folder is run, and weights are read as safetensors only, which cannot hold a program.
"""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import InputError
from tasks.fit.device import pick_device

Floats = npt.NDArray[np.float32]

# Samples that go through the model at once: enough to fill a small GPU, and 32 pages of text fit into 2 GiB.
BATCH = 32


def check_folder(folder: Path) -> None:
    """Check that a folder holds a model, before anything else is done.

    Raises:
        InputError: There is none, or its weights are no safetensors.
    """
    where = f"--encoder {folder}"
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


def fingerprint(folder: Path) -> str:
    """Return a digest that changes with the model: its configuration, and names and sizes of all its files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
        if path.suffix == ".json" and path.stat().st_size < 2**20:
            digest.update(path.read_bytes())
        elif path.suffix == ".safetensors":
            # The head of the file holds names and places of the tensors, its end the last weights.
            with path.open("rb") as file:
                digest.update(file.read(2**20))
                file.seek(-min(2**20, path.stat().st_size), 2)
                digest.update(file.read())
    return digest.hexdigest()[:32]


class TextModel:
    """A sentence-transformers model."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 (a class of an optional package)
        _hide_broken_torchvision()
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (seconds to import)
        except ModuleNotFoundError as error:
            raise _missing("sentence-transformers", "text") from error
        with _explained(self._folder):
            return SentenceTransformer(
                str(self._folder),
                device=str(pick_device(self._device)),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return one embedding for each text, (b, width)."""
        found = self._model.encode(
            list(texts), batch_size=BATCH, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)


class ImageModel:
    """A vision model of transformers: its pooled output, or the mean of its last hidden states."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = pick_device(device)
        said = folder / "preprocessor_config.json"
        self._how = json.loads(said.read_text()) if said.is_file() else {}

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 (a class of an optional package)
        _hide_broken_torchvision()
        try:
            from transformers import AutoModel  # noqa: PLC0415 (seconds to import)
        except ModuleNotFoundError as error:
            raise _missing("transformers", "vision") from error
        with _explained(self._folder):
            model = AutoModel.from_pretrained(
                str(self._folder), local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
        return getattr(model, "vision_model", model).to(self._device).eval()

    def __call__(self, files: Sequence[bytes]) -> Floats:
        """Return one embedding for each image file, (b, width)."""
        import torch  # noqa: PLC0415

        with torch.no_grad():
            pixels = torch.from_numpy(np.stack([self._pixels(file) for file in files])).to(self._device)
            found = self._model(pixel_values=pixels)
            pooled = getattr(found, "pooler_output", None)
            if pooled is None:
                hidden = found.last_hidden_state
                pooled = hidden.mean(dim=tuple(range(2, hidden.ndim)) if hidden.ndim == 4 else 1)
            return np.asarray(pooled.flatten(1).float().cpu().numpy(), np.float32)

    def _pixels(self, file: bytes) -> Floats:
        """Return an image as the model was trained to see it: (3, height, width)."""
        from PIL import Image, ImageOps  # noqa: PLC0415

        size = self._how.get("size", {})
        side = (
            size.get("height") or size.get("shortest_edge") or getattr(self._model.config, "image_size", 224)
        )
        crop = self._how.get("crop_size") or {}
        kept = crop.get("height", side) if self._how.get("do_center_crop") else side
        with Image.open(io.BytesIO(file)) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            if self._how.get("do_center_crop") and "shortest_edge" in size:
                scale = side / min(upright.size)
                upright = upright.resize(
                    (max(kept, round(upright.width * scale)), max(kept, round(upright.height * scale))),
                    Image.Resampling.BICUBIC,
                )
                image = ImageOps.fit(upright, (kept, kept), Image.Resampling.BICUBIC)
            else:
                image = upright.resize((kept, kept), Image.Resampling.BICUBIC)
        values = np.asarray(image, np.float32) * np.float32(self._how.get("rescale_factor", 1 / 255))
        mean, deviation = (
            np.array(self._how.get(key, 0.5), np.float32) for key in ("image_mean", "image_std")
        )
        return np.ascontiguousarray(((values - mean) / deviation).transpose(2, 0, 1))


class _explained:  # noqa: N801 (a context manager)
    """Say in one line what a library says of a folder that it cannot read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError | ValueError | KeyError | ImportError | RuntimeError):
            lines = str(error).strip().splitlines()
            raise InputError(
                f"the model cannot be read ({(lines or [type(error).__name__])[0][:160]})",
                where=f"--encoder {self._folder}",
                fix="name a folder that sentence-transformers or transformers saved",
            ) from error


def _hide_broken_torchvision() -> None:
    """Let transformers do without a torchvision that was built for another torch: nothing here needs it."""
    try:
        import torchvision  # noqa: F401, PLC0415
    except (ImportError, OSError, RuntimeError):
        sys.modules["torchvision"] = None  # type: ignore[assignment] # what `find_spec` reads as not installed


def _missing(package: str, extra: str) -> InputError:
    return InputError(
        f"{package} is not installed", where="--encoder", fix=f"pip install 'labelsweep[{extra}]'"
    )
