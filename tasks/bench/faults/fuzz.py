"""A coverage-guided fuzzer on the readers and on the import formats: is every file read, or refused in one line?

It needs atheris (pip install atheris==3.0.0).

Atheris (libFuzzer for Python) mutates the files of the corpus and keeps those that reach new branches of our code. A finding
is anything but a result or an `InputError` on one line: another exception (distinguished by type and place), a crash of the
interpreter, more than 20 s or 2 GB for one file. Files that made one are kept in the folder that the table names.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tasks.bench.command import count_of
from tasks.bench.helpers import ROOT, choose_names, import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.errors import InputError
from tasks.records import Source

READERS = ("csv", "csv.gz", "jsonl", "parquet", "arrow", "feather")
TARGETS = (*READERS, "queue.csv", "label-studio.json", "config.yaml", "expectations.yaml", "picture")
LARGEST_SEED = 20_000


def run_fuzz(
    targets: Annotated[list[str] | None, typer.Argument(help="what to fuzz (default: everything)")] = None,
    *,
    seconds: Annotated[int, count_of("seconds in all")] = 600,
) -> None:
    """A coverage-guided fuzzer on readers and imports: is every file read, or refused in one line?"""
    targets = choose_names(",".join(targets or ()), TARGETS, "target", "targets")
    if find_spec("atheris") is None:
        raise InputError("the fuzzer needs atheris", fix="pip install atheris==3.0.0")
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 (a file for each of many thousand trials)
    folder = Path(tempfile.mkdtemp(prefix="labelsweep-fuzz-", dir=base))
    lines = []
    for target in targets:
        home = folder / target
        (home / "seeds").mkdir(parents=True)
        (home / "kept").mkdir()
        write_seeds(target, home / "seeds")
        begun = len(list((home / "seeds").iterdir()))
        one = [target, str(home), str(seconds // len(targets))]
        command = [sys.executable, "-W", "ignore", "-m", "tasks.bench.faults.fuzz", *one]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
        lines.append(make_row(target, begun, home, ended.returncode, ended.stderr))
        sys.stderr.write(" | ".join(map(str, lines[-1])) + "\n")
    heads = ["seeds", "files tried", "branches of ours reached", "read", "refused in one line", "findings"]
    table = format_table(["target", *heads], lines)
    sys.stdout.write(f"{table}\n{describe_setup('atheris')}; files that made a finding: {folder}\n")


def make_row(target: str, begun: int, home: Path, code: int, log: str) -> list[object]:
    """Return a row of the table."""
    tally = json.loads((home / "tally.json").read_text()) if (home / "tally.json").exists() else {}
    tried = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log) or [str(tally.get("tried", 0))]
    covered = re.findall(r"\bft: (\d+)", log) or ["0"]
    found = [f"{count:,} x {what}" for what, count in tally.get("found", {}).items()]
    if code not in (0, 77) or list((home / "kept").glob("crash-*")):
        found.append(
            "stopped: " + next((line for line in log.splitlines() if "ERROR" in line), f"exit code {code}")
        )
    read, refused = tally.get("read", 0), tally.get("refused", 0)
    return [target, begun, int(tried[-1]), int(covered[-1]), read, refused, "; ".join(found) or "none"]


def write_seeds(target: str, folder: Path) -> None:
    """Write what the mutations begin with: the corpus, or what the program itself writes."""
    from tasks.review.exchange.label_studio import export_tasks  # noqa: PLC0415 (not yet: it is to be instrumented)

    corpus, runs = import_test_module("corpus", "corpus_cases"), import_test_module("review", "run_folder")
    entry = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0}}
    texts: list[str] = []
    if target in READERS:
        _copy_corpus(corpus, target, folder)
    elif target == "picture":
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
            (folder / kind).write_bytes(corpus.png(kind=kind))
    elif target == "config.yaml":
        texts.append("source: cats.csv\nlabel: animal\nfolds: 3\nfeatures: [a, b]\nmemory: 2GB\n")
        texts.append("source: &a x\nlabel: *a\nepochs: 1e3\n")
    elif target == "expectations.yaml":
        texts += [yaml.safe_dump([entry]), json.dumps({"expectations": [entry]})]
    elif target == "queue.csv":
        run = runs.wine_run(folder.parent / "out")
        head, first, *_ = (run / "queue.csv").read_text().splitlines(keepends=True)
        texts += [head + first, "sample_id,decision,new_label\nwine-00001,keep,\nwine-00002,relabel,Barolo\n"]
    else:
        _, tasks = export_tasks(runs.wine_run(folder.parent / "out"), folder.parent / "exported")
        label = {"from_name": "label", "to_name": "sample", "type": "choices"}
        result = {**label, "value": {"choices": ["Barolo"]}}
        annotation = {"completed_by": 1, "lead_time": 2.5, "result": [result]}
        texts.append(json.dumps([json.loads(tasks.read_text())[0] | {"id": 1, "annotations": [annotation]}]))
    for number, text in enumerate(texts, 1):
        (folder / str(number)).write_text(text)


def _copy_corpus(corpus: Any, target: str, folder: Path) -> None:  # noqa: ANN401 (a module of the tests)
    for number, case in enumerate(corpus.cases()):
        place = folder.parent / "made" / str(number)
        place.mkdir(parents=True)
        if not case.name.startswith(("path:", "a gzip bomb")):
            path = case.make(place)
            if path.name == f"data.{target}" and path.stat().st_size <= LARGEST_SEED:
                shutil.copy(path, folder / str(number))


def choose_reader(target: str, home: Path) -> Callable[[bytes], object]:
    """Return what reads one file; it must return or raise an `InputError`. What it needs is imported here, instrumented."""
    place, out = home / "trial", home / "out"
    place.mkdir(exist_ok=True)
    path = place / ("data." + target if target in READERS else target)
    if target == "picture":
        return import_module("tasks.show.images").safe_png
    if target == "config.yaml":
        from_command_line = import_module("flows.commands.config_file").from_command_line
        read: Callable[[], object] = partial(from_command_line, {}, path)
    elif target == "expectations.yaml":
        read = partial(import_module("tasks.validate.expectations").read_entries, path)
    elif target in READERS:
        ingest = import_module("tasks.ingest").ingest
        read = partial(ingest, Source(uri=str(path)), place / "run")
    else:
        kind = "spreadsheet" if target == "queue.csv" else "label_studio"
        import_file = getattr(import_module(f"tasks.review.exchange.{kind}"), f"import_{kind}")
        read = partial(import_file, path, out / "runs" / "wine-run", out)

    def once(data: bytes) -> None:
        path.write_bytes(data)
        shutil.rmtree(place / "run", ignore_errors=True)
        for log in out.glob("decisions.sqlite*"):
            log.unlink()
        read()

    return once


def fuzz(target: str, home: Path, seconds: int) -> None:
    """Fuzz one target; does not return."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415

    with atheris.instrument_imports(
        include=["tasks.ingest", "tasks.review", "tasks.validate.expectations", "flows.commands.config_file"]
    ):
        once = choose_reader(target, home)
    tally: dict[str, int] = {"tried": 0, "read": 0, "refused": 0}
    found: dict[str, int] = {}
    written = [0.0]

    def one(data: bytes) -> None:
        tally["tried"] += 1
        try:
            once(data)
            tally["read"] += 1
        except InputError as error:
            tally["refused"] += 1
            if len(str(error).splitlines()) != 1:
                note("a refusal of several lines", data)
        except Exception as error:  # noqa: BLE001 (what is looked for)
            last = [at for at in traceback.extract_tb(error.__traceback__) if str(ROOT) in at.filename][-1]
            note(f"{type(error).__name__} at {Path(last.filename).relative_to(ROOT)}:{last.lineno}", data)
        if time.monotonic() > written[0] + 0.2:
            written[0] = time.monotonic()
            (home / "tally.json").write_text(json.dumps({**tally, "found": found}))

    def note(what: str, data: bytes) -> None:
        found[what] = found.get(what, 0) + 1
        if found[what] == 1:
            (home / "kept" / re.sub(r"\W+", "-", what)).write_bytes(data)

    bounds = f"-max_total_time={seconds} -timeout=20 -rss_limit_mb=2048 -max_len=30000 -seed=1"
    options = [*bounds.split(), "-print_final_stats=1", f"-artifact_prefix={home}/kept/"]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    atheris.Setup([sys.argv[0], *options, str(home / "seeds")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
