"""The units for the service manager are ones that it takes, and name settings that are there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_units_are_accepted_by_systemd(tmp_path):
    names = {
        "labelsweep-server.service": "labelsweep-server.service",
        "labelsweep-worker@.service": "labelsweep-worker@gpu.service",
    }
    for source, target in names.items():
        text = (UNITS / source).read_text().replace("/opt/labelsweep/.venv", sys.prefix)
        (tmp_path / target).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if "labelsweep" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_every_variable_of_a_unit_is_in_the_environment_file():
    defined = set(re.findall(r"^([A-Z_]+)=", (UNITS / "labelsweep.env").read_text(), re.MULTILINE))
    for unit in UNITS.glob("*.service"):
        assert set(re.findall(r"\$\{([A-Z_]+)\}", unit.read_text())) <= defined
