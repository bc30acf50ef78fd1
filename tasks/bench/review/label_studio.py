"""The round trip through a real Label Studio server: export, import there, annotate, export there, import here.

Start one first, on this machine alone, in an environment of its own:

    python -m venv /tmp/label-studio && /tmp/label-studio/bin/pip install label-studio
    LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true /tmp/label-studio/bin/label-studio start --no-browser \
        --internal-host 127.0.0.1 --port 8099 --username reviewer@example.org --password change-me-1 --user-token TOKEN

    labelsweep bench review label-studio http://127.0.0.1:8099 TOKEN
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tasks.bench.helpers import import_test_module
from tasks.bench.tables import describe_setup, format_table
from tasks.review.exchange.label_studio import export_tasks, import_label_studio
from tasks.review.log import read_log

# What the annotator does with the first tasks: accept the prediction, keep, change, drop, unsure, skip; the others stay open.
ANSWERS = ("accept", "keep", "other", "drop", "unsure", "skip")


def run_label_studio(address: str, token: str) -> None:
    """The round trip through a real Label Studio server at an address; exit code 1 where an answer came back as another."""
    runs, headers = import_test_module("review", "run_folder"), {"Authorization": f"Token {token}"}
    with (
        httpx.Client(base_url=address, headers=headers, timeout=120) as server,
        tempfile.TemporaryDirectory(prefix="labelsweep-label-studio-") as folder,
    ):
        out, version = Path(folder), _call(server, "GET", "/api/version")["release"]
        rows = [
            send_and_import(server, out, make(out))
            for make in (runs.digits_run, runs.wine_run, runs.notes_run)
        ]
    heads = ["tasks taken", "predictions taken", "imported here", "imported once more", "as answered there"]
    table = format_table(["run", *heads], rows, words=6)
    sys.stdout.write(f"{table}\nLabel Studio {version}, {describe_setup()}. Answers: {', '.join(ANSWERS)}.\n")
    sys.exit(0 if all(row[-1] == "yes" for row in rows) else 1)


def send_and_import(server: httpx.Client, out: Path, run: Path) -> list[object]:
    """Send one run there and back; return a row of the table."""
    config, tasks = export_tasks(run, out / f"{run.name}-out")
    about = {"title": run.name, "label_config": config.read_text(encoding="utf-8")}
    where = f"/api/projects/{_call(server, 'POST', '/api/projects', about)['id']}"
    sent = json.loads(tasks.read_text(encoding="utf-8"))
    taken = _call(server, "POST", f"{where}/import?return_task_ids=true", sent)
    expected = {}
    for number, answer in zip(taken["task_ids"], ANSWERS, strict=False):
        task = _call(server, "GET", f"/api/tasks/{number}")
        expected[task["data"]["sample_id"]] = annotate(server, task, answer)
    exported = out / f"{run.name}.json"
    found = _call(server, "GET", f"{where}/export?exportType=JSON&download_all_tasks=true")
    exported.write_text(json.dumps(found), encoding="utf-8")
    imported = [import_label_studio(exported, run, out) for _ in range(2)]
    found = {row.sample_id: row.outcome for row in read_log(out) if row.run == run.name}
    is_right = found == {sample: outcome for sample, outcome in expected.items() if outcome}
    end = "yes" if is_right else f"no: {found} instead of {expected}"
    return [run.name, f"{taken['task_count']} of {len(sent)}", taken["prediction_count"], *imported, end]


def _call(server: httpx.Client, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (any JSON)
    answer = server.request(method, path, json=body).raise_for_status()
    return answer.json() if answer.content else None


def annotate(server: httpx.Client, task: dict[str, Any], answer: str) -> str:
    """Answer one task as its page would; return the outcome that has to arrive here."""
    prediction = task["predictions"][0]
    given, suggested = task["data"]["given_label"], task["data"]["suggested_label"]
    label = {"accept": suggested, "keep": given, "other": given}.get(answer)
    result = [_choice("label", label) if label else _choice("verdict", answer)]
    suggestion = _choice("label", suggested) | {"id": prediction["result"][0]["id"], "origin": "prediction"}
    if answer == "accept":
        result = [suggestion]
    if answer == "drop":  # its page starts with the suggestion chosen, and most people leave it there
        result = [suggestion, *result]
    if answer == "other":
        said = {"type": "textarea", "value": {"text": ["looked twice"]}}
        result.append({"from_name": "comment", "to_name": "sample"} | said)
    skipped, where = answer == "skip", f"/api/tasks/{task['id']}/annotations"
    body = {"result": [] if skipped else result, "was_cancelled": skipped, "lead_time": 3.5}
    _call(server, "POST", where, body | {"parent_prediction": prediction["id"]})
    return "" if answer == "skip" else f"label:{label}" if label else answer


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "sample", "type": "choices", "value": {"choices": [value]}}
