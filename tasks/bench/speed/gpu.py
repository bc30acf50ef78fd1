"""What a GPU brings: encoders, feature files and whole audits on it, beside the same on that machine's processor.

- encoders: samples a second through `tasks.encode.pretrained`, decoding and tokenising included, by batch size. The models are
  made here with random weights (timm's resnet18; a transformer of MiniLM's size), which cost what trained ones do.
- files: passes over a feature file, as every sum over samples takes them, by way of pinned memory and a thread that reads ahead,
  and without each; beside them the same features held on the device.
- audits: whole audits in memory, Gaussian classes with 8 % wrong labels.

One JSON line for each measurement.
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from tasks.attribute import AuditOptions, audit
from tasks.bench.command import Device
from tasks.bench.helpers import choose_names
from tasks.bench.stopwatch import R, Time, draw_noisy_data, time_call
from tasks.encode.pretrained import ImageModel, TextModel, prepare_image
from tasks.heads.device import pick_device
from tasks.heads.features import FileFeatures, MemoryFeatures, compute_moments
from tasks.records import FeatureFile

Row = dict[str, Any]
WORDS, WORDS_A_TEXT = 2_000, 60


def run_gpu(
    parts: Annotated[str, typer.Argument(metavar="A,B", help="encoders, files, audits (default: all)")] = "",
    *,
    device: Device = "auto",
    share: Annotated[float, typer.Option(metavar="X", help="share of the usual number of samples")] = 1.0,
) -> None:
    """What a GPU brings: encoders, feature files and whole audits on it, beside that machine's processor."""
    for part in choose_names(parts, PARTS, "part", "A,B"):
        with tempfile.TemporaryDirectory() as folder:
            for row in PARTS[part](Path(folder), pick_device(device).type, share):
                sys.stdout.write(json.dumps({"part": part, "device": device} | row) + "\n")
                sys.stdout.flush()


def time_encoders(folder: Path, device: str, share: float) -> Iterator[Row]:
    """Yield samples a second of an image and a text encoder."""
    large = device == "cuda"
    batches = (32, 128, 256, 512) if large else (32,)
    vision, count = save_image_model(folder / "vision"), round((4_096 if large else 512) * share)
    photographs = [make_photograph(seed) for seed in range(64)] * (count // 64 + 1)
    for batch in batches:
        yield {"what": "resnet18, 224 x 224"} | measure_rate(
            ImageModel(vision, device, batch), photographs[:count], batch
        )
    how = ImageModel(vision, device)._vision.how
    _, spent = time_call(lambda: [prepare_image(file, how) for file in photographs[:256]])
    yield {"what": "decoding alone, one thread", "samples a second": round(256 / spent.wall)}
    pixels = torch.rand(max(batches), 3, 224, 224)
    for batch in batches:
        network, here = ImageModel(vision, device)._vision.model, pixels[:batch].to(device)
        with torch.no_grad():
            yield {"what": "resnet18, the network alone"} | measure_rate(
                network, here, batch, 10 if large else 1
            )
    text, count = save_text_model(folder / "text"), round((16_384 if large else 512) * share)
    generator = np.random.default_rng(0)
    words = (generator.integers(0, WORDS, generator.integers(8, 2 * WORDS_A_TEXT)) for _ in range(count))
    texts = [" ".join(f"w{word}" for word in some) for some in words]
    for batch in batches:
        yield {"what": "transformer, 6 layers of 384"} | measure_rate(
            TextModel(text, device, batch), texts, batch
        )


def measure_rate(model: Any, samples: Any, batch: int, repeat: int = 1) -> Row:  # noqa: ANN401
    """Ask a model twice and return samples a second of the second time, with the most memory on the GPU."""
    model(samples[: 2 * batch])
    _, spent, most = measure_call(lambda: [model(samples) for _ in range(repeat)] and None)
    return {"batch": batch, "samples a second": round(repeat * len(samples) / spent.wall), "MiB": most}


def measure_call(work: Callable[[], R]) -> tuple[R, Time, int]:
    """Return what the work returned, its time, and the most MiB that it held on the GPU."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    result, spent = time_call(work)
    return result, spent, round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else 0


def make_photograph(seed: int) -> bytes:
    """Return a JPEG of 500 x 375, smooth as photographs are."""
    from PIL import Image  # noqa: PLC0415

    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def save_image_model(folder: Path) -> Path:
    """Save timm's resnet18 with random weights."""
    import timm  # noqa: PLC0415

    timm.models.save_for_hf(timm.create_model("resnet18", pretrained=False), folder, safe_serialization=True)
    return folder


def save_text_model(folder: Path) -> Path:
    """Save a sentence-transformers model of MiniLM's size with random weights and a vocabulary of its own."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.models import Pooling, Transformer  # noqa: PLC0415
    from transformers import BertConfig, BertModel, BertTokenizerFast  # noqa: PLC0415

    plain = folder.with_name("plain")
    plain.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{word}" for word in range(WORDS))]
    (plain / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(
        vocab=dict(zip(vocabulary, range(len(vocabulary)), strict=True)), model_max_length=256
    )
    tokenizer.save_pretrained(plain)
    small = {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1_536,
    }
    config = BertConfig(vocab_size=30_522, **small)
    BertModel(config).save_pretrained(plain, safe_serialization=True)
    transformer = Transformer(str(plain))
    SentenceTransformer(modules=[transformer, Pooling(384)], device="cpu").save(str(folder))
    return folder


def time_files(folder: Path, device: str, share: float) -> Iterator[Row]:
    """Yield how long passes over a feature file take."""
    like = torch.empty(0, dtype=torch.float32, device=device)
    weight = torch.rand(64, 50, device=device)

    def passed(blocks: Callable[[], Iterator[tuple[Any, torch.Tensor]]]) -> float:
        total = torch.zeros(64, 50, device=device)
        for _, block in blocks():
            total += block.T @ torch.softmax(block @ weight, 1)
        return float(total.sum())

    for rows in (round(1_000_000 * share), round(4_000_000 * share)):
        file = FeatureFile(path=folder / f"{rows}.f32", rows=rows, width=64)
        values = np.random.default_rng(0).standard_normal((rows, 64), dtype=np.float32)
        values.tofile(file.path)
        features, held = FileFeatures(file, like), MemoryFeatures(torch.from_numpy(values).to(device))
        ways = {
            "as it is": features.blocks,
            "no reading ahead": features._read,
            "held on the device": held.blocks,
        }
        if device == "cuda":
            ways["no pinned memory"] = Unpinned(file, like).blocks
        found = {}
        for name, way in ways.items():
            passed(way)
            found[name], spent = time_call(partial(passed, way), 3)
            speed = round(values.nbytes / 1e9 / spent.wall, 2)
            said = {"what": f"{rows:,} x 64, {name}", "seconds": round(spent.wall, 3)}
            yield said | {"GB a second": speed}
        same = all(abs(value - found["as it is"]) <= 1e-4 * abs(value) for value in found.values())
        exact = [
            bool(torch.equal(*pair))
            for pair in zip(compute_moments(features), compute_moments(held), strict=True)
        ]
        yield {"what": f"{rows:,} x 64", "sums agree": same, "moments equal to the bit": exact}


class Unpinned(FileFeatures):
    """The same without pinned memory."""

    def _tensor(self, raw: Any, rows: int) -> torch.Tensor:  # noqa: ANN401
        return torch.from_numpy(raw.reshape(rows, self.width)).to(self.like)


def time_audits(_: Path, device: Any, share: float) -> Iterator[Row]:  # noqa: ANN401
    """Yield how long whole audits take."""
    sizes = [(20_000, 128, "auto"), (100_000, 128, "auto"), (1_000_000, 64, "auto"), (4_000_000, 64, "raw")]
    for n, d, kind in sizes if device == "cuda" else sizes[:-1]:
        data = draw_noisy_data(round(n * share), d, 10)
        work = partial(
            audit,
            data.features,
            data.given,
            AuditOptions.model_validate({"device": device, "feature_map": kind}),
        )
        if n < 1_000_000:
            work()
        found, spent, most = measure_call(work)
        yield {
            "what": f"{len(data.given):,} x {d} x 10, {kind}",
            "seconds": round(spent.wall, 2),
            "processor": round(spent.cpu, 2),
            "AP": round(data.precision(found.score), 4),
            "converged": found.converged,
            "MiB": most,
        }


PARTS: dict[str, Callable[[Path, str, float], Iterator[Row]]] = {
    "encoders": time_encoders,
    "files": time_files,
    "audits": time_audits,
}
