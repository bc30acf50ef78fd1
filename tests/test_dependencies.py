"""The dependencies that are installed are the ones that were measured to work together; those known to break are refused."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALL = [Requirement(line) for line in PROJECT["dependencies"]]
REQUIRED = [one for one in ALL if one.marker is None or one.marker.evaluate()]
EXTRA = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
OPTIONAL = [one for one in EXTRA if one.marker is None or one.marker.evaluate()]
# From Python 3.13 on numpy is 2, and a second file has the tested versions.
FILES = {"3.11": "constraints.txt", "3.13": "constraints-3.13.txt"}

# Each was installed and seen to break a run: see the comments in pyproject.toml.
KNOWN_TO_BREAK = {
    "fastapi": ["0.151.0", "0.154.0", "0.155.0"],
    "sqlalchemy": ["2.1.0"],
    "numpy": ["2.0.0"],
    "pyarrow": ["26.0.0"],
    "prefect": ["3.9.0"],
    "pydvl": ["0.11.0"],
}


def required_on(python: str) -> list[Requirement]:
    return [one for one in ALL if one.marker is None or one.marker.evaluate({"python_version": python})]


@pytest.mark.parametrize("requirement", REQUIRED, ids=lambda requirement: requirement.name)
def test_what_is_installed_is_within_the_measured_bounds(requirement: Requirement) -> None:
    installed = version(requirement.name)
    assert requirement.specifier.contains(installed, prereleases=True), (
        f"{requirement.name} {installed} is outside {requirement.specifier}"
    )


@pytest.mark.parametrize("requirement", OPTIONAL, ids=str)
def test_what_is_installed_of_the_extras_is_within_their_bounds(requirement: Requirement) -> None:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        pytest.skip(f"{requirement.name} belongs to an extra that is not installed")
    assert requirement.specifier.contains(installed, prereleases=True)


@pytest.mark.parametrize(
    ("name", "broken"), [(name, each) for name, versions in KNOWN_TO_BREAK.items() for each in versions]
)
def test_versions_that_are_known_to_break_cannot_be_installed(name: str, broken: str) -> None:
    bounds = {requirement.name: requirement.specifier for requirement in required_on("3.11")}
    assert not bounds[name].contains(broken)


@pytest.mark.parametrize("python", FILES)
def test_constraints_are_exact_and_within_the_bounds(python: str) -> None:
    lines = (ROOT / FILES[python]).read_text().splitlines()
    pinned = {}
    for line in (line for line in lines if line and not line.startswith("#")):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line)
        assert match, f"not an exact version: {line}"
        pinned[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    for requirement in required_on(python):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pinned, f"{name} has no tested version"
        assert requirement.specifier.contains(Version(pinned[name]))
