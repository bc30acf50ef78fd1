"""The command itself: light, interruptible, and clear about Prefect."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flow_command import start

from flows.cli import run
from flows.commands.config_file import build_parameters, merge_options, read_config
from flows.config import CleanParameters
from flows.request import make_request
from flows.results import Results
from tasks.errors import InputError
from tasks.runs.lifecycle import read_state, run_folder

HEAVY = (
    "torch",
    "prefect",
    "pandas",
    "pyarrow",
    "numpy",
    "sklearn",
    "great_expectations",
    "matplotlib",
    "pydvl",
    "fsspec",
)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["clean", "--help"], ["runs", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from flows.cli import run; code = run(sys.argv[1:]); "
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_every_parameter_is_an_option_and_the_help_says_what_it_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert run(["clean", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, field in CleanParameters.model_fields.items():
        if name not in ("source", "resume"):
            assert f"--{name.replace('_', '-')}" in text
        if name != "resume":
            assert field.description in text


def test_options_win_over_the_configuration_file(tmp_path):
    config = tmp_path / "options.yaml"
    config.write_text("source: cats.csv\nfolds: 7\nmax-queue: 12\nfeatures: [a, b]\n")
    parameters = merge_options({"folds": "3"}, config)
    assert (parameters.source, parameters.folds, parameters.max_queue) == ("cats.csv", 3, 12)
    assert parameters.features == ("a", "b")


def test_results_are_where_the_environment_says_unless_the_user_named_a_place(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELSWEEP_OUT", str(tmp_path / "shared"))
    config = tmp_path / "options.yaml"
    config.write_text("source: cats.csv\nout: own\n")
    assert merge_options({"source": "cats.csv"}, None).out == tmp_path / "shared" == Results().out
    assert merge_options({"source": "cats.csv", "out": "mine"}, None).out == Path("mine")
    assert merge_options({}, config).out == Path("own")
    elsewhere = tmp_path / "elsewhere" / "runs" / "cats-1"
    elsewhere.mkdir(parents=True)
    assert Results(None, str(elsewhere)).out == tmp_path / "elsewhere"
    with pytest.raises(InputError, match="no run yet; run `labelsweep clean SOURCE` first"):
        Results().run()


def test_bundled_digits_know_their_columns_and_options_win():
    known = build_parameters({"source": "sample:digits"}, str)
    assert (known.label, known.id, known.image, known.truth) == ("label", "id", "image", "true_label")
    assert build_parameters({"source": "sample:digits", "id": "image"}, str).id == "image"


def test_replayable_parameters_are_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters = build_parameters(
        {"source": "cats.csv", "expectations": "mine.yaml", "features": "a,b", "data_docs": True}, str
    )
    (tmp_path / "config.yaml").write_text(parameters.write_replayable())
    monkeypatch.chdir("/")
    replayed = build_parameters(read_config(tmp_path / "config.yaml"), str)
    assert replayed.source == str(tmp_path / "cats.csv")
    assert replayed.expectations == tmp_path / "mine.yaml"
    assert replayed.out == tmp_path / "data"
    assert replayed.features == ("a", "b")


def end(parameters: CleanParameters, error: BaseException) -> Path:
    """Open a run folder, end its run with an error, and return the folder."""
    with suppress(type(error)), run_folder(make_request(parameters)) as folder:
        assert read_state(folder) == "running"
        raise error
    return folder


def test_run_folder_is_whole_or_gone_or_says_how_it_ended(tmp_path):
    parameters = CleanParameters(source="cats.csv", out=tmp_path / "out")
    end(parameters, InputError("wrong"))
    assert not (tmp_path / "out").exists()

    failed = end(parameters, ZeroDivisionError())
    assert read_state(failed) == "failed"

    stop = KeyboardInterrupt()
    unfinished = end(parameters, stop)
    assert read_state(unfinished) == "unfinished"
    assert str(unfinished / "config.yaml") in stop.__notes__[0]

    with run_folder(make_request(parameters)) as finished:
        pass
    assert read_state(finished) == "finished"
    assert (tmp_path / "out" / "runs" / "latest").resolve() == finished.resolve()


def test_configuration_of_an_unfinished_run_goes_on_with_it(tmp_path):
    unfinished = end(CleanParameters(source="cats.csv", out=tmp_path), KeyboardInterrupt())
    (unfinished / "dataset.csv").touch()
    with run_folder(make_request(merge_options({}, unfinished / "config.yaml"))) as folder:
        assert folder == unfinished
        assert (folder / "dataset.csv").exists()
    assert merge_options({}, unfinished / "config.yaml").resume is None
    # The user's own file, in a folder that happens to have that name.
    own = tmp_path / "runs" / "own" / "config.yaml"
    own.parent.mkdir()
    own.write_text("source: cats.csv\nout: elsewhere\n")
    parameters = merge_options({}, own)
    assert (parameters.resume, parameters.out) == (None, Path("elsewhere"))


def test_two_processes_cannot_work_on_one_run(tmp_path):
    parameters = CleanParameters(source="cats.csv", out=tmp_path)
    with run_folder(make_request(parameters)) as folder:
        same = parameters.model_copy(update={"resume": folder.name})
        with pytest.raises(InputError, match="another process"), run_folder(make_request(same)):
            pass
    assert read_state(folder) == "finished"


@pytest.mark.parametrize("run_id", ["absent", "../..", ""])
def test_going_on_with_no_run_is_an_input_error(run_id, tmp_path):
    (tmp_path / "config.yaml").touch()
    with (
        pytest.raises(InputError),
        run_folder(make_request(CleanParameters(source="a", out=tmp_path / "out", resume=run_id or "."))),
    ):
        pass


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted; go on with: labelsweep clean --config {folder}/config.yaml"),
        (signal.SIGTERM, 143, "terminated; the same command resumes it"),
    ],
)
def test_a_command_that_is_stopped_says_how_to_resume_and_started_no_server(
    sent, code, said, user_home, tmp_path
):
    out = tmp_path / "out"
    process = start(["clean", "sample:digits", "--out", str(out)], user_home)
    first = process.stderr.readline()
    assert first.startswith("labelsweep: ingest: "), first
    assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
    os.killpg(process.pid, sent)
    stdout, stderr = process.communicate(timeout=60)
    (folder,) = (out / "runs").iterdir()
    assert process.returncode == code
    assert stdout == ""
    assert stderr == f"labelsweep: {said.format(folder=folder)}\n"
    assert read_state(folder) == "unfinished"
    assert not list(folder.rglob("*.partial"))


@pytest.fixture
def web_page() -> Iterator[str]:
    """Return the address of a server that answers everything with a page, as a proxy without its Prefect server does."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def test_server_that_does_not_answer_or_is_another_one_is_one_line(tmp_path, web_page):
    for address in ("http://127.0.0.1:9/api", web_page):
        process = start(["clean", "sample:digits"], tmp_path, PREFECT_API_URL=address)
        stdout, stderr = process.communicate(timeout=120)
        assert (process.returncode, stdout) == (2, "")
        (line,) = stderr.splitlines()
        assert f"PREFECT_API_URL={address}: no Prefect server answers" in line
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("options", "where"),
    [(["--wait-for-review"], "--wait-for-review"), (["--gpu-deployment", "fit/gpu"], "--gpu-deployment")],
)
def test_what_only_a_server_can_do_is_refused_without_one(options, where, tmp_path):
    process = start(["clean", "sample:digits", *options], tmp_path)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    (line,) = stderr.splitlines()
    assert line.startswith(f"labelsweep: error: {where}: ")
    assert "PREFECT_API_URL" in line


@pytest.mark.parametrize("named_in", ["profiles.toml", "prefect.toml", "pyproject.toml", ".env"])
def test_a_server_is_found_wherever_prefect_lets_the_user_name_it(named_in, tmp_path):
    address = "http://127.0.0.1:9/api"
    (tmp_path / "prefect").mkdir()
    content = {
        "profiles.toml": f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{address}"\n',
        "prefect.toml": f'[api]\nurl = "{address}"\n',
        "pyproject.toml": f'[tool.prefect.api]\nurl = "{address}"\n',
        ".env": f"PREFECT_API_URL={address}\n",
    }
    folder = tmp_path / "prefect" if named_in == "profiles.toml" else tmp_path
    (folder / named_in).write_text(content[named_in])
    _, stderr = start(["clean", "sample:digits"], tmp_path).communicate(timeout=120)
    assert f"PREFECT_API_URL={address}: no Prefect server answers" in stderr


@pytest.mark.parametrize("content", ["", "[", "- source", "\x00"])
def test_a_run_whose_options_were_damaged_is_listed_with_the_others(content, tmp_path, capsys):
    for name, text in (
        ("cats-20260102-030405-beef", "source: cats.csv"),
        ("dogs-20260102-030406-beef", content),
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text(text)
    assert run(["runs", "--out", str(tmp_path)]) == 0
    _, dogs, cats = capsys.readouterr().out.splitlines()
    assert dogs.split()[0::6] == ["dogs-20260102-030406-beef", "unknown"]
    assert cats.split()[0::6] == ["cats-20260102-030405-beef", "cats.csv"]


@pytest.mark.parametrize("content", ['{"version": "1.0"}', "[]", "not JSON"])
def test_a_folder_with_a_version_file_of_another_program_is_read_as_any_other(content, tmp_path):
    (tmp_path / "version.json").write_text(content)
    parameters = CleanParameters(source=str(tmp_path))
    assert (parameters.source, parameters.name) == (str(tmp_path), None)


def test_who_only_looks_at_a_run_is_not_taken_for_one_and_keeps_none_from_beginning(tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "cats-20260102-030405-beef"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("source: cats.csv")
    looking = os.open(folder, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert read_state(folder) == "unfinished"
    monkeypatch.setattr("tasks.runs.lock.time.sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
    parameters = CleanParameters(source="cats.csv", out=tmp_path, resume=folder.name)
    with run_folder(make_request(parameters)) as resumed:
        assert (resumed, read_state(folder)) == (folder, "running")
    os.close(looking)


@pytest.mark.parametrize(
    "arguments",
    [
        ["clean", "{long}.csv"],
        ["clean", "sample:digits", "--encoder", "{long}"],
        pytest.param(
            ["runs", "--out", "{long}"],
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13), reason="such a folder is missing for this Python"
            ),
        ),
        ["review", "{long}"],
        ["restore", "{long}"],
        ["synthesize", "{long}.csv"],
        ["export", "--to", "csv", "--file", "{long}.csv"],
    ],
)
def test_a_name_too_long_for_a_file_is_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run([argument.format(long="x" * 300) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("labelsweep: error: ")
    assert "internal" not in line


@pytest.mark.parametrize("target", ["file/decisions.csv", "folder.csv"])
def test_decisions_that_cannot_be_written_there_are_one_line(target, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv" / "full").mkdir(parents=True)
    assert run(["export", "--to", "csv", "--file", str(tmp_path / target), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{target}: cannot write there (" in line
    assert line.endswith("; choose another file with --file")
