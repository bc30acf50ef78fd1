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
import urllib.request
from pathlib import Path
from typing import Any

from tasks.bench.helpers import from_tests
from tasks.bench.tables import made_with, markdown
from tasks.review.exchange.label_studio import export_tasks, import_label_studio
from tasks.review.log import read_log

# What the annotator does with the first tasks: accept the prediction, keep, change, drop, unsure, skip; the others stay open.
ANSWERS = ("accept", "keep", "other", "drop", "unsure", "skip")


class Server:
    """The API of a Label Studio server."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """Send a request; return the JSON that comes back."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, self._headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.loads(answer.read() or "null")


def round_trip(server: Server, out: Path, run: Path) -> list[str]:
    """Send one run there and back; return a row of the table."""
    config, tasks = export_tasks(run, out / f"{run.name}-out")
    project = server.call(
        "POST", "/api/projects", {"title": run.name, "label_config": config.read_text(encoding="utf-8")}
    )
    where = f"/api/projects/{project['id']}"
    sent = json.loads(tasks.read_text(encoding="utf-8"))
    taken = server.call("POST", f"{where}/import?return_task_ids=true", sent)
    expected = {}
    for number, answer in zip(taken["task_ids"], ANSWERS, strict=False):
        task = server.call("GET", f"/api/tasks/{number}")
        expected[task["data"]["sample_id"]] = annotate(server, task, answer)
    exported = out / f"{run.name}.json"
    exported.write_text(
        json.dumps(server.call("GET", f"{where}/export?exportType=JSON&download_all_tasks=true")),
        encoding="utf-8",
    )
    imported = import_label_studio(exported, run, out)
    again = import_label_studio(exported, run, out)
    found = {row.sample_id: row.outcome for row in read_log(out) if row.run == run.name}
    right = found == {sample: outcome for sample, outcome in expected.items() if outcome}
    return [
        run.name,
        f"{taken['task_count']} of {len(sent)}",
        str(taken["prediction_count"]),
        str(imported),
        str(again),
        "yes" if right else f"no: {found} instead of {expected}",
    ]


def annotate(server: Server, task: dict[str, Any], answer: str) -> str:
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
        result.append(
            {
                "from_name": "comment",
                "to_name": "sample",
                "type": "textarea",
                "value": {"text": ["looked twice"]},
            }
        )
    body = {"result": [] if answer == "skip" else result, "was_cancelled": answer == "skip", "lead_time": 3.5}
    server.call(
        "POST", f"/api/tasks/{task['id']}/annotations", body | {"parent_prediction": prediction["id"]}
    )
    return "" if answer == "skip" else f"label:{label}" if label else answer


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "sample", "type": "choices", "value": {"choices": [value]}}


def run_label_studio(address: str, token: str) -> None:
    """The round trip through a real Label Studio server at an address; exit code 1 where an answer came back as another."""
    server, runs = Server(address, token), from_tests("review", "run_folder")
    version = server.call("GET", "/api/version")["release"]
    with tempfile.TemporaryDirectory(prefix="labelsweep-label-studio-") as folder:
        out = Path(folder)
        rows = [
            round_trip(server, out, make(out)) for make in (runs.digits_run, runs.wine_run, runs.notes_run)
        ]
    heads = ["tasks taken", "predictions taken", "imported here", "imported once more", "as answered there"]
    table = markdown(["run", *heads], rows, words=6)
    sys.stdout.write(f"{table}\nLabel Studio {version}, {made_with()}. Answers: {', '.join(ANSWERS)}.\n")
    sys.exit(0 if all(row[-1] == "yes" for row in rows) else 1)
