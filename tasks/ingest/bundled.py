"""The data that come with the code."""

from pathlib import Path

from tasks.errors import InputError

SAMPLES = ("digits",)


def sample_path(name: str) -> Path:
    """Return the file of a bundled sample: in the installed package, or in the checkout around this code.

    >>> sample_path("digits").name
    'digits.parquet'
    """
    if name not in SAMPLES:
        there = ", ".join(f"sample:{sample}" for sample in SAMPLES)
        raise InputError(f"no bundled sample '{name}'", where=f"sample:{name}", fix=f"choose one of: {there}")
    installed = Path(__file__).parent / "samples" / f"{name}.parquet"
    checkout = Path(__file__).parents[2] / "data" / f"{name}.parquet"
    found = next((path for path in (installed, checkout) if path.is_file()), None)
    if found is None:
        raise InputError(
            "the bundled file is missing", where=f"sample:{name}", fix="install labelsweep again"
        )
    return found
