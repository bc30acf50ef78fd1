"""A real S3 API on loopback, and a way to it that drops connections."""

from collections.abc import Iterator

import boto3
import fsspec
import pytest
from dropping import Dropping
from moto.server import ThreadedMotoServer

BUCKET = "labels"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def s3(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dropping]:
    """Set the environment that points every client at the server, through the proxy; return the proxy."""
    proxy = Dropping(s3_server)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_server}")
    client.create_bucket(Bucket=BUCKET)
    yield proxy
    proxy.close()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def objects(s3: Dropping, s3_server: int):
    """Return a function that reads what lies in the bucket, past the proxy."""
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_server}")

    def read() -> dict[str, bytes]:
        found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {one["Key"]: client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in found}

    return read
