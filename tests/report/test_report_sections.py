"""A file in the folder of the sections is a section of the report."""

import subprocess
import sys
from pathlib import Path

SOURCE = """
from tasks.report.parts import Section


def build(view, summary) -> Section | None:
    return None
"""


def test_new_section_is_one_new_file(tmp_path: Path):
    (tmp_path / "horoscope.py").write_text(SOURCE)
    code = (
        "import sys; from importlib import util; import tasks.report\n"
        "spec = util.find_spec('tasks.report.sections'); spec.submodule_search_locations.append(sys.argv[1])\n"
        "module = util.module_from_spec(spec); sys.modules[spec.name] = module; spec.loader.exec_module(module)\n"
        "print([build.__module__ for build in module.SECTIONS][-2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "['tasks.report.sections.horoscope', 'tasks.report.sections.settings']"
