"""What CONTRIBUTING promises of the code's shape: what is too long to read at once, and what is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT) for name in ("flows", "tasks") for path in (ROOT / name).rglob("*.py")
)


@pytest.mark.parametrize("package", ["flows", "tasks"])
def test_no_module_is_over_350_lines_and_no_function_over_60(package: str):
    long = []
    for module in (module for module in MODULES if module.parts[0] == package):
        text = (ROOT / module).read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > 350:
            long.append(f"{module}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > 60:
                    long.append(f"{module}: {node.name} has {lines} lines")
    assert long == []


def test_flows_catch_few_errors():
    handlers = lines = 0
    for module in (module for module in MODULES if module.parts[0] == "flows"):
        text = (ROOT / module).read_text(encoding="utf-8")
        lines += len(text.splitlines())
        handlers += sum(isinstance(node, ast.ExceptHandler) for node in ast.walk(ast.parse(text)))
    assert handlers <= 6 * lines / 1_000


@pytest.mark.parametrize("module", ["flows.cli", "flows.sweep", "tasks.review.page.web"])
def test_what_answers_at_once_imports_nothing_heavy(module: str):
    heavy = ("torch", "pydvl", "prefect", "great_expectations", "matplotlib")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
