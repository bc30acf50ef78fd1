"""What a GPU is for: encoders, feature files and whole audits; the same parts on a processor show what it brings.

The models of encoders are made here with random weights (timm's resnet18; a transformer of MiniLM's size), which cost what
trained ones do.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.bench.command import Device
from tasks.bench.speed.parts import SIZE, time_audit
from tasks.bench.stopwatch import R, Time, draw_noisy_data, time_call
from tasks.bench.tally import Row
from tasks.encode.pretrained import ImageModel, TextModel, prepare_image
from tasks.heads.features import FileFeatures, MemoryFeatures, compute_moments
from tasks.records import FeatureFile

WORDS, WORDS_A_TEXT = 2_000, 60


def encoders(most: int, device: Device) -> Iterator[Row]:
    """Encoders by batch size, decoding and tokenising included."""
    large = device == "cuda"
    batches = (32, 128, 256, 512) if large else (32,)
    with tempfile.TemporaryDirectory() as name:
        vision, count = save_image_model(Path(name) / "vision"), min(4_096 if large else 512, most)
        photographs = [make_photograph(seed) for seed in range(64)] * (count // 64 + 1)
        for batch in batches:
            found = measure_rate(ImageModel(vision, device, batch), photographs[:count], batch)
            yield {"what": "resnet18, 224 x 224"} | found
        how = ImageModel(vision, device)._vision.how
        _, spent = time_call(lambda: [prepare_image(file, how) for file in photographs[:256]])
        rate = {"samples a second": f"{256 / spent.wall:.0f}", "MiB on the GPU": ""}
        yield {"what": "decoding alone, one thread", "batch": ""} | rate
        pixels = torch.rand(max(batches), 3, 224, 224)
        network, repeat = ImageModel(vision, device)._vision.model, 10 if large else 1
        with torch.no_grad():
            for batch in batches:
                found = measure_rate(network, pixels[:batch].to(device), batch, repeat)
                yield {"what": "resnet18, the network alone"} | found
        text, count = save_text_model(Path(name) / "text"), min(16_384 if large else 512, most)
        generator = np.random.default_rng(0)
        words = (generator.integers(0, WORDS, generator.integers(8, 2 * WORDS_A_TEXT)) for _ in range(count))
        texts = [" ".join(f"w{word}" for word in some) for some in words]
        for batch in batches:
            found = measure_rate(TextModel(text, device, batch), texts, batch)
            yield {"what": "transformer, 6 layers of 384"} | found


def measure_rate(model: Any, samples: Any, batch: int, repeat: int = 1) -> Row:  # noqa: ANN401
    """Ask a model twice; return the batch, the samples a second of the second time, and the most memory on the GPU."""
    model(samples[: 2 * batch])
    _, spent, held = measure_call(lambda: [model(samples) for _ in range(repeat)] and None)
    rate = f"{repeat * len(samples) / spent.wall:.0f}"
    return {"batch": batch, "samples a second": rate, "MiB on the GPU": held}


def measure_call(work: Callable[[], R]) -> tuple[R, Time, str]:
    """Return what the work returned, its time, and the most MiB that it held on the GPU."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    result, spent = time_call(work)
    return result, spent, f"{torch.cuda.max_memory_allocated() / 2**20:,.0f}" if on_gpu else "–"


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
    layers = {"num_hidden_layers": 6, "num_attention_heads": 12}
    config = BertConfig(vocab_size=30_522, hidden_size=384, intermediate_size=1_536, **layers)
    BertModel(config).save_pretrained(plain, safe_serialization=True)
    transformer = Transformer(str(plain))
    SentenceTransformer(modules=[transformer, Pooling(384)], device="cpu").save(str(folder))
    return folder


def files(most: int, device: Device) -> Iterator[Row]:
    """Passes over a feature file, as every sum over samples takes them: as it is, without a help each, and held."""
    like = torch.empty(0, dtype=torch.float32, device=device)
    weight = torch.rand(64, 50, device=device)

    def passed(blocks: Callable[[], Iterator[tuple[Any, torch.Tensor]]]) -> float:
        total = torch.zeros(64, 50, device=device)
        for _, block in blocks():
            total += block.T @ torch.softmax(block @ weight, 1)
        return float(total.sum())

    for rows in sorted({min(1_000_000, most), min(4_000_000, most)}):
        values = np.random.default_rng(0).standard_normal((rows, 64), dtype=np.float32)
        with tempfile.NamedTemporaryFile() as written:
            values.tofile(written.name)
            file = FeatureFile(path=Path(written.name), rows=rows, width=64)
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
                speed = f"{values.nbytes / 1e9 / spent.wall:.2f}"
                row = {"what": f"{rows:,} x 64, {name}", "seconds": f"{spent.wall:.3f}"}
                yield row | {"GB a second": speed}
            sums = np.allclose(list(found.values()), found["as it is"], rtol=1e-4)
            moments = zip(compute_moments(features), compute_moments(held), strict=True)
            exact = all(torch.equal(*pair) for pair in moments)
        agree = f"{rows:,} x 64: sums agree: {sums}, moments equal to the bit: {exact}"
        yield {"what": agree, "seconds": "", "GB a second": ""}


class Unpinned(FileFeatures):
    """The same without pinned memory."""

    def _tensor(self, raw: Any, rows: int) -> torch.Tensor:  # noqa: ANN401
        return torch.from_numpy(raw.reshape(rows, self.width)).to(self.like)


def audits(most: int, device: Device) -> Iterator[Row]:
    """Whole audits in memory, Gaussian classes with 8 % wrong labels."""
    sizes = [(20_000, 128, "auto"), (100_000, 128, "auto"), (1_000_000, 64, "auto"), (4_000_000, 64, "raw")]
    asked = [(min(n, most), d, kind) for n, d, kind in sizes if kind == "auto" or device == "cuda"]
    for n, d, kind in dict.fromkeys(asked):
        data = draw_noisy_data(n, d, 10)
        work = partial(time_audit, data, device, feature_map=kind)
        if n < 1_000_000:
            work()  # what is loaded or compiled on first use does not count
        (found, spent), _, held = measure_call(work)
        row = {SIZE: f"{n:,} x {d} x 10, {kind}", "seconds (processor)": spent}
        row |= {"AP": data.precision(found.score), "converged": str(found.converged)}
        yield row | {"MiB on the GPU": held}
