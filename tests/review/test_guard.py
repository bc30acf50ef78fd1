"""Nobody but the reviewers gets at the review page, and it says nothing to the log that only they should know."""

import http.client
import re
import socket
from pathlib import Path

import pytest
from review_server import Client, Process, Served, served

from tasks.review.log import read_log
from tasks.review.page import guard as guard_module
from tasks.review.page.guard import MAX_BODY, Guard


def listening(process: Process) -> set[str]:
    """The addresses, in hexadecimal, that the process's port is bound to (from the kernel's own table)."""
    port = int(process.address.split("?")[0].rstrip("/").rpartition(":")[2])
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                found.add(local.rpartition(":")[0])
    return found


def ended(process: Process) -> tuple[str, str]:
    """Stop it; return all that it wrote on standard output, first line included, and on standard error."""
    process.process.terminate()
    written, errors = process.process.communicate(timeout=20)
    return f"{process.address}\n{written}", errors


def test_the_page_listens_on_this_machine_alone_unless_told_otherwise(out: Path) -> None:
    server = Process(out, "digits-run", "--port", "0")
    try:
        assert listening(server) == {"0100007F"}  # 127.0.0.1
        assert "token" not in server.address
    finally:
        server.kill()


def test_for_other_machines_a_token_is_made_and_said_once_and_no_secret_is_logged(out: Path) -> None:
    server = Process(out, "digits-run", "--host", "0.0.0.0", "--port", "0", "--reviewer", "Ada")  # noqa: S104
    try:
        assert listening(server) == {"00000000"}
        address, _, token = server.address.partition("/?token=")
        assert len(token) >= 24
        client = Client(address)
        assert client.request("GET", "/review")[0] == 403
        assert client.request("GET", "/review?token=wr%C3%B6ng")[0] == 403
        assert client.request("GET", f"/review?token={token}")[0] == 303
        assert client.request("GET", "/review")[0] == 200
        assert token not in str(client.cookies)
        assert client.request("POST", "/api/decide", b"{}", {"x-csrf-token": "forged"})[0] == 403
        host, _, port = client.host.partition(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(f"no HTTP at all, {token} {client.csrf}\r\n\r\n".encode())
            assert b"400" in raw.recv(1000)
        written, errors = ended(server)
    finally:
        server.kill()
    assert (written + errors).count(token) == 1
    for secret in client.cookies.values():
        assert secret not in written + errors


def test_a_token_of_the_environment_is_asked_for(out: Path) -> None:
    arguments = ("digits-run", "--port", "0", "--reviewer", "Ada")
    server = Process(out, *arguments, LABELSWEEP_REVIEW_TOKEN="grüße aus Köln")  # noqa: S106
    try:
        client = Client(server.address.split("?")[0])
        assert client.request("GET", "/review")[0] == 403
        assert client.request("GET", "/review?token=gr%C3%BC%C3%9Fe+aus+K%C3%B6ln")[0] == 303
        assert client.request("GET", "/review")[0] == 200
    finally:
        server.kill()


def test_tokens_are_compared_in_constant_time_and_in_no_other_way(
    digits: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(digits, out, reviewer="Ada", guard=Guard(None, "secret")) as site:
        client = Client(site.address)
        assert client.request("GET", "/review?token=secret")[0] == 303
        csrf = {"x-csrf-token": client.csrf, "content-type": "application/json"}
        monkeypatch.setattr(guard_module.secrets, "compare_digest", lambda *_: False)
        assert client.request("GET", "/review?token=secret")[0] == 403
        assert client.request("GET", "/review")[0] == 403
        monkeypatch.setattr(guard_module.secrets, "compare_digest", lambda *_: True)
        assert client.request("POST", "/open/0", b"{}", {**csrf, "x-csrf-token": "forged"})[0] == 204
        monkeypatch.undo()
        assert client.request("POST", "/open/0", b"{}", {**csrf, "x-csrf-token": "forged"})[0] == 403
        assert client.request("POST", "/open/0", b"{}", csrf)[0] == 204


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 18, None])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_body_that_is_too_large_or_of_unknown_length_is_not_read(
    page: Served, out: Path, length: str | None, method: str
) -> None:
    client = Client(page.address)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = (
        f"{method} /api/decide HTTP/1.1\r\nHost: {client.host}\r\nCookie: {cookies}\r\nX-CSRF-Token: {client.csrf}\r\n"
        f"Content-Type: application/json\r\n{size}\r\n\r\n"
    )
    host, _, port = client.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(head.encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")  # before one byte of the body was sent
    assert read_log(out) == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/..%2fguard.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static/..%5c..%5cerrors.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/image?id=../../../../../../etc/passwd",
        "/image?id=%2fetc%2fpasswd",
        "/image?id=%00",
        "/item/..%2f..%2fetc%2fpasswd",
        "/saliency/-1",
        "/../../etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_page(page: Served, path: str) -> None:
    status, _, text = Client(page.address).request("GET", path)
    assert status in (404, 422)
    assert not re.search(r"root:|import |class ", text)


@pytest.mark.parametrize("path", ["/api/decide", "/api/decide-many", "/api/undo", "/open/0", "/name"])
@pytest.mark.parametrize("content", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_no_write_passes_without_the_token_of_a_page(
    page: Served, out: Path, path: str, content: str
) -> None:
    client = Client(page.address)
    status, headers, _ = client.request("POST", path, b"name=Eve&csrf=forged", {"content-type": content})
    assert status == 403
    assert "reviewer" not in headers.get("set-cookie", "")
    assert page.site.review._open == {}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "10.0.0.1"]
)
def test_a_name_that_was_made_to_point_here_is_refused(page: Served, host: str) -> None:
    port = page.address.rpartition(":")[2]
    for name in (host, f"{host}:{port}"):
        assert Client(page.address).request("GET", "/review", headers={"host": name})[0] == 421


def test_every_cookie_is_for_this_site_alone_and_not_for_scripts(digits: Path, out: Path) -> None:
    with served(digits, out, guard=Guard(None, "secret")) as site:
        cookies, kept, csrf = [], "", ""
        for method, path in [("GET", "/name?token=secret"), ("GET", "/name"), ("POST", "/name")]:
            connection = http.client.HTTPConnection(site.address.removeprefix("http://"), timeout=20)
            form = {"content-type": "application/x-www-form-urlencoded"} if method == "POST" else {}
            body = f"csrf={csrf}&name=Ada" if method == "POST" else None
            connection.request(method, path, body, {"cookie": kept, **form})
            cookies += connection.getresponse().headers.get_all("set-cookie") or []
            connection.close()
            kept = "; ".join(cookie.partition(";")[0] for cookie in cookies)
            csrf = re.sub(r".*-csrf-\d+=([^;]*).*", r"\1", kept)
    assert any("-token-" in cookie for cookie in cookies)
    assert any("-reviewer-" in cookie for cookie in cookies)
    for cookie in cookies:
        assert "httponly" in cookie.lower()
        assert "samesite=strict" in cookie.lower()
