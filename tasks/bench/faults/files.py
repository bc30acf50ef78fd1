"""What a killed run left: its finished steps, and files under their final names that are not whole."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage import read_json


def finished_steps(out: Path) -> int:
    """Return how many steps the runs under `out` have finished."""
    return sum(1 for path in out.glob("runs/*/steps/*.json") if "latest" not in path.parts)


def run_folders(out: Path) -> list[Path]:
    """Return the folders of the runs under `out`."""
    runs = out / "runs"
    return [path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()]


def broken_files(out: Path) -> list[Path]:
    """Return the files under their final names that are not whole."""
    return [path for path in out.glob("runs/**/*") if path.is_file() and _final(path) and not whole(path)]


def _final(path: Path) -> bool:
    return not path.name.endswith((".partial", ".lock")) and "latest" not in path.parts


def whole(path: Path) -> bool:
    """Return whether a file can be read to its end.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "half.json"
    >>> path.write_text('{"rows": 1'), whole(path)
    (10, False)
    """
    try:
        if path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".json":
            read_json(path)
        elif path.suffix == ".safetensors":
            from safetensors import safe_open  # noqa: PLC0415 (brings torch)

            with safe_open(path, framework="pt") as file:
                return all(file.get_tensor(name) is not None for name in file.keys())  # noqa: SIM118 (not a dict)
        elif path.suffix == ".html":
            return path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        return path.stat().st_size > 0
    except FileNotFoundError:  # by a run that goes on, between being listed and being read
        return True
    except (OSError, ValueError, pa.ArrowException, json.JSONDecodeError):
        return False
