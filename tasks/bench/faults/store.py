"""An object store that can go away: a real S3 API on loopback, behind a proxy that cuts every connection when it is told to."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.addresses import work_folder
from tasks.bench.helpers import import_test_module

BUCKET = "labels"


class FaultyStore:
    """A store with an empty bucket.

    Args:
        name: Prefix of the results in the bucket.
        folder: Where programs work whose results go there.
    """

    def __init__(self, name: str, folder: Path) -> None:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 (belongs to the dev extra)
        from moto.server import ThreadedMotoServer  # noqa: PLC0415

        self._server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        port = self._server.get_host_and_port()[1]
        self._proxy: Any = import_test_module("remote", "dropping").Dropping(port)
        self._prefix, self.address = f"{name}/", f"s3://{BUCKET}/{name}"
        self.out = folder / work_folder(self.address).name
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
        self.environment = {"LABELSWEEP_WORK": str(folder), "AWS_DEFAULT_REGION": "us-east-1", **keys}
        self.environment |= {"AWS_ENDPOINT_URL": self._proxy.url, "AWS_MAX_ATTEMPTS": "1"}
        client = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self._client: Any = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **client)
        self._client.create_bucket(Bucket=BUCKET)

    def answer(self, *, yes: bool) -> None:
        """Let connections through, or cut all."""
        self._proxy.allowed = None if yes else 0

    def find_broken(self) -> list[str]:
        """Return what is wrong with the folders there that have a manifest; without one, that there is none."""
        found = {
            entry["Key"]: self._client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            for entry in self._client.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix).get("Contents", [])
        }
        manifests = {
            key.removesuffix("manifest.json"): json.loads(found[key])
            for key in found
            if key.endswith("/manifest.json")
        }
        wrong = [
            f"{name} on the store differs"
            for root, manifest in manifests.items()
            for name, entry in manifest["files"].items()
            if hashlib.sha256(found.get(root + name, b"")).hexdigest() != entry["sha256"]
        ]
        return wrong if manifests else ["nothing was published"]

    def close(self) -> None:
        """Stop the server."""
        self._proxy.close()
        self._server.stop()
