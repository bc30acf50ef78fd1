"""Write one small real data set for each kind of input that `labelsweep clean` takes, with a few wrong labels and the true ones.

    python data/make_examples.py examples

Nothing is fetched: the penguins lie beside this file, the digits come inside scikit-learn, the texts are what numpy, pandas and
scipy say of their own functions. 6 % of the labels are exchanged for another class.
"""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.stats
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

SHARE = 0.06
DIGITS = 500
NETWORK = '''\
"""A network of one's own for `labelsweep clean --model mynet:factory`."""

from torch import nn


def factory(feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a network that ends in a linear layer, for plain features of the shape (d,)."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, n_classes))
'''


def with_errors(labels: Sequence[Any], share: float = SHARE, seed: int = 0) -> list[Any]:
    """Return the labels with some of them exchanged for another class."""
    generator = np.random.default_rng(seed)
    classes = sorted(set(labels))
    wrong = generator.random(len(labels)) < share
    others = [classes.index(label) + int(generator.integers(1, len(classes))) for label in labels]
    return [
        classes[other % len(classes)] if bad else label
        for label, other, bad in zip(labels, others, wrong, strict=True)
    ]


def docstrings() -> pd.DataFrame:
    """Return what functions of three libraries say of themselves, with the library."""
    kept: dict[str, str] = {}
    for library, home in {"numpy": np, "pandas": pd.DataFrame, "scipy": scipy.stats}.items():
        for name in sorted(dir(home)):
            text = (getattr(getattr(home, name, None), "__doc__", None) or "").strip()
            if not name.startswith("_") and len(text) > 80:
                kept.setdefault(" ".join(text.split())[:600], library)
    return pd.DataFrame({"doc": list(kept), "true": list(kept.values())}).iloc[::2]  # enough to learn from


def png(pixels: np.ndarray) -> bytes:
    """Return an 8 x 8 digit as a picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(pixels.reshape(8, 8) * 15)).save(buffer, "PNG")
    return buffer.getvalue()


def main(folder: Path) -> None:
    """Write all examples to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    penguins = pd.read_csv(Path(__file__).parent / "penguins.csv")
    penguins["true"] = penguins["species"]
    penguins["species"] = with_errors(penguins["species"].tolist())
    penguins.to_csv(folder / "penguins.csv", index=False)

    docs = docstrings()
    docs.assign(library=with_errors(docs["true"].tolist())).to_csv(folder / "docs.csv", index=False)
    raters = {
        name: with_errors(docs["true"].tolist(), 0.15, seed)
        for seed, name in enumerate(("ann", "bob", "eve"))
    }
    docs.assign(**raters).to_csv(folder / "votes.csv", index=False)

    pixels, true = load_digits(return_X_y=True)
    pixels, true = pixels[:DIGITS], true[:DIGITS].tolist()
    given = with_errors(true)
    pictures = [png(row) for row in pixels]
    both = {"label": given, "true": true}
    for number, (picture, label) in enumerate(zip(pictures, given, strict=True)):
        path = folder / "scans" / f"digit {label}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    pq.write_table(pa.table({"scan": pictures, **both}), folder / "scans.parquet")
    pq.write_table(pa.table({"vector": list(pixels.astype(np.float32)), **both}), folder / "vectors.parquet")
    forest = RandomForestClassifier(100, random_state=0)
    out_of_fold = cross_val_predict(forest, pixels, given, cv=5, method="predict_proba")
    pq.write_table(pa.table({"p": list(out_of_fold), **both}), folder / "scored.parquet")
    hugging_face(folder / "digits", pictures, given, true)
    (folder / "mynet.py").write_text(NETWORK)


def hugging_face(folder: Path, pictures: list[bytes], given: list[int], true: list[int]) -> None:
    """Write Parquet as the datasets library does: images as structs, class names in the schema's metadata."""
    names = {"names": [f"digit {digit}" for digit in range(10)], "_type": "ClassLabel"}
    info = {"info": {"features": {"image": {"_type": "Image"}, "label": names, "true": names}}}
    images = pa.array(
        [{"bytes": picture, "path": None} for picture in pictures],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({"image": images, "label": given, "true": true})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    target = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), target)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples"))
