import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_server import Served, served
from run_folder import digits_run, notes_run, wine_run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a run on pictures, one on a table and one on text."""
    out = tmp_path_factory.mktemp("made")
    digits_run(out)
    wine_run(out)
    notes_run(out)
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "data", symlinks=True))


@pytest.fixture
def digits(out: Path) -> Path:
    return out / "runs" / "digits-run"


@pytest.fixture
def wine(out: Path) -> Path:
    return out / "runs" / "wine-run"


@pytest.fixture
def notes(out: Path) -> Path:
    return out / "runs" / "notes-run"


@pytest.fixture
def page(digits: Path, out: Path) -> Iterator[Served]:
    """The review page of the digits, on a real port."""
    with served(digits, out, reviewer="Ada") as site:
        yield site
