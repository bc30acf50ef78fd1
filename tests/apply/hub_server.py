"""The part of the Hugging Face Hub's HTTP API that takes a commit, on this machine: what it got is in `files`."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """A Hub that holds one repository, and lets one token write to it."""

    def __init__(self, name: str, token: str) -> None:
        self.name, self.token = name, token
        self.files: dict[str, bytes] = {}
        self.made: dict[str, Any] | None = None
        self.messages: list[str] = []
        self.blobs: dict[str, bytes] = {}
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        hub, data = self.hub, f"/api/datasets/{self.hub.name}"
        if self.headers["Authorization"] != f"Bearer {hub.token}":
            self._answer(403, {"error": "You don't have the rights to create a dataset under this namespace"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            status = 409 if hub.made else 200
            hub.made = hub.made or json.loads(body)
            self._answer(status, {"url": f"{hub.url}/datasets/{hub.name}"})
        elif self.path == f"{data}/preupload/main":
            self._answer(200, {"files": [self._mode(one) for one in json.loads(body)["files"]]})
        elif self.path == f"/datasets/{hub.name}.git/info/lfs/objects/batch":
            objects = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/blobs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})
        elif self.path == f"{data}/commit/main":
            for line in body.splitlines():
                self._commit(**json.loads(line))
            address = f"{hub.url}/datasets/{hub.name}/commit/{len(hub.messages)}"
            self._answer(200, {"success": True, "commitUrl": address, "commitOid": "0" * 40})
        else:
            self._answer(404, {"error": f"nothing at {self.path}"})

    def do_PUT(self) -> None:
        self.hub.blobs[self.path.rpartition("/")[2]] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {})

    def _mode(self, file: dict[str, Any]) -> dict[str, Any]:
        """Take small texts as they are, tables by LFS, as the Hub does."""
        mode = "lfs" if file["path"].endswith(".parquet") else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def _commit(self, key: str, value: dict[str, Any]) -> None:
        if key == "header":
            self.hub.messages.append(value["summary"])
        elif key == "file":
            self.hub.files[value["path"]] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            blob = self.hub.blobs[value["oid"]]
            assert hashlib.sha256(blob).hexdigest() == value["oid"]
            self.hub.files[value["path"]] = blob

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
