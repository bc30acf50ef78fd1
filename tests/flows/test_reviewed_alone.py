"""Review and apply as a user starts them: nobody on the network is asked, no secret is written, and the decisions are private."""

import http.client
import shutil
import stat
from pathlib import Path

import pytest
from flow_command import SECRETS, Ran, secrets_in, start

from tasks.bench.faults.reviewer import make_answers, send_decisions

REVIEWED = ["--reviewer", "Ada", "--port", "0", "--controls", "0"]


@pytest.fixture(scope="module")
def reviewed(demo: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Decide six samples of the digits in the real server, and apply the decisions."""
    home = tmp_path_factory.mktemp("reviewer")
    shutil.copytree(demo.out, home / "data", symlinks=True)
    run = (home / "data" / "runs" / "latest").resolve()
    secrets = {name: value for name, value in SECRETS.items() if name != "LABELSWEEP_REVIEW_TOKEN"}
    server = start(["review", run.name, *REVIEWED], home, **secrets)
    try:
        host = server.stdout.readline().strip().removeprefix("http://").strip("/")
        answers = make_answers(run, 6)
        assert len(send_decisions(host, answers)) == len(answers)
    finally:
        server.terminate()
        said = server.communicate(timeout=60)
    process = start(["apply", run.name, "--yes"], home, **SECRETS)
    stdout, stderr = process.communicate(timeout=200)
    return Ran(process.returncode, stdout + said[0], stderr + said[1], home / "data", home / "network.log")


def test_review_and_apply_reach_for_no_network(reviewed):
    assert reviewed.exit_code == 0, reviewed.stderr
    assert "v0001: written" in reviewed.stdout
    assert not reviewed.network_log.exists(), reviewed.network_log.read_text()


def test_decisions_are_readable_by_their_owner_alone(reviewed):
    logs = list(reviewed.out.glob("decisions.sqlite*"))
    assert logs
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}


def test_review_and_apply_write_and_say_no_secret_of_the_environment(reviewed):
    assert secrets_in(reviewed.out.parent, reviewed.stdout, reviewed.stderr) == []


def test_token_of_the_review_comes_from_the_environment_and_is_written_nowhere(demo: Ran, tmp_path: Path):
    shutil.copytree(demo.out, tmp_path / "data", symlinks=True)
    server = start(["review", *REVIEWED], tmp_path, **SECRETS)
    try:
        host = server.stdout.readline().partition("http://")[2].partition("/")[0]
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status in (401, 403)
    finally:
        server.terminate()
        said = server.communicate(timeout=60)
    # The address with the token is printed once for whoever starts the server; the line above read it.
    assert secrets_in(tmp_path, *said) == []
