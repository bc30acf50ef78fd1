"""Parts that are found by their files: whoever adds one adds a file, and registers it nowhere."""

import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType


def list_modules(folder: Path) -> tuple[str, ...]:
    """Return the names of the modules in a folder, in alphabetical order; nothing is imported.

    >>> list_modules(Path(__file__).parent / "heads" / "solvers")[:2]
    ('cg', 'direct')
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def import_modules(package: str, folder: Path) -> dict[str, ModuleType]:
    """Return the modules of a package by their names, in alphabetical order."""
    return {name: import_module(f"{package}.{name}") for name in list_modules(folder)}
