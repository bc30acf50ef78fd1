"""A real S3 API on loopback, and a way to it that drops connections."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "labels"


class Dropping:
    """A TCP proxy that cuts every connection once `allowed` bytes went through, for as long as it is told to.

    `asked` has the path of each GET request.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.allowed: int | None = None
        self.cuts = 0
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.asked += [path.decode() for path in re.findall(rb"^GET (\S+) HTTP", data)]
                if self.allowed is not None:
                    self.allowed -= len(data)
                    if self.allowed < 0:
                        self.cuts += 1
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


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
