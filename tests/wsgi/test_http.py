"""HTTP as a client sees it on one connection: reuse, order, ends, what is refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.siege import health_s
from tests.support import serving
from tests.wsgi.serving import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

Encrypted = tuple[serving.Server, ssl.SSLContext]

HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
VERSION = b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"content": "Hello"}'
SIZED = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = (
    b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n%b\r\n%x;name=value\r\n%b\r\n0\r\nTrailer-A: 1\r\n\r\n"
) % (BODY[:5], len(BODY) - 5, BODY[5:])
CLOSE = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[serving.Server]:
    """A server of a fake model."""
    with Server() as server:
        yield server.ready()


def answers(server: serving.Server, *pieces: bytes) -> list[bytes]:
    """Send pieces on one connection whose last request ends it; return the answers' heads."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for piece in pieces:
            client.sendall(piece)
        return heads(received(client))


def received(client: socket.socket) -> bytes:
    """Read to the end of a connection."""
    data = b""
    while part := client.recv(65536):
        data += part
    return data


def heads(data: bytes) -> list[bytes]:
    """Split what a connection brought, by the lengths that the answers announce."""
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end
        found.append(head)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        data = data[int(fields.get(b"content-length", b"0")) :]
    return found


def statuses(found: list[bytes]) -> list[int]:
    return [int(head.split()[1]) for head in found]


@pytest.mark.parametrize(
    "requests",
    [
        [HEALTH, SIZED, CHUNKED, CLOSE],
        [CHUNKED, CHUNKED, HEALTH, CLOSE],
        [b"\r\n" + HEALTH, SIZED, CLOSE],
    ],
)
def test_pipelined_requests_are_answered_in_their_order(
    server: serving.Server, requests: list[bytes]
) -> None:
    """Requests in one piece, or byte by byte, have one answer each."""
    data = b"".join(requests)
    expected = [200] * len(requests)
    assert statuses(answers(server, data)) == expected
    assert statuses(answers(server, *(data[at : at + 7] for at in range(0, len(data), 7)))) == (
        expected
    )


def test_answers_keep_the_order_of_the_requests(server: serving.Server) -> None:
    """A quick answer does not overtake one that another thread gives."""
    found = answers(server, VERSION + HEALTH + b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n" + CLOSE)
    assert statuses(found) == [200, 200, 404, 200]


@pytest.mark.parametrize(
    ("request_", "is_kept"),
    [
        (HEALTH, True),
        (CLOSE, False),
        (b"GET /health HTTP/1.0\r\n\r\n", False),
        (b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_connections_are_kept_as_asked(
    server: serving.Server, request_: bytes, *, is_kept: bool
) -> None:
    """A connection is kept, or ends, as the request and its version say."""
    found = answers(server, request_ + (CLOSE if is_kept else HEALTH))
    assert len(found) == 1 + is_kept
    assert (b"Connection: close" in found[0]) != is_kept


def test_head_has_no_body(server: serving.Server) -> None:
    """The answer to HEAD is that of GET without its body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(HEALTH.replace(b"GET", b"HEAD") + CLOSE)
        data = received(client)
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.count(b'{"status":"ok"}') == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"Content-Length: 5, 5\r\n", 400),
        (b"Content-Length: 0x5\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: identity, odd\r\n", 501),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"A: b\n", 400),
        (b"A: " + 9000 * b"b" + b"\r\n", 431),
        (200 * b"A: b\r\n", 431),
        (b"Expect: much\r\n", 417),
    ],
)
def test_ambiguous_heads_are_refused(server: serving.Server, fields: bytes, status: int) -> None:
    """What two servers could read in two ways is refused, and what follows is no request."""
    data = b"POST /tokenize HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    assert statuses(answers(server, data + HEALTH)) == [status]


@pytest.mark.parametrize(
    "body", [b"5x\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloo\r\n0\r\n\r\n", b"-1\r\n\r\n", b"\r\n\r\n"]
)
def test_malformed_chunks_are_the_last_of_a_connection(server: serving.Server, body: bytes) -> None:
    """Chunks that cannot be read are 400, and what follows is no request."""
    head = b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = statuses(answers(server, head + body + HEALTH))
    assert found[0] == 400
    assert 200 not in found


def test_too_large_a_body_is_told_before_it_comes(server: serving.Server) -> None:
    """Who announces too much gets 413 at once, and is not told to go on."""
    head = (
        b"POST /tokenize HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Length: 99999999999\r\n\r\n"
    )
    (found,) = answers(server, head)
    assert found.startswith(b"HTTP/1.1 413")


def test_who_waits_to_go_on_is_told_to(server: serving.Server) -> None:
    """A client that asks first is told once, and then answered."""
    head, _, body = SIZED.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(head + b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        data = received(client)
    assert statuses(heads(data)) == [200]


def test_unread_bodies_do_not_end_a_connection(server: serving.Server) -> None:
    """A body on a route that reads none is passed over."""
    with httpx.Client(base_url=server.url) as client:
        for size in (10, 100_000, 1_000_000):
            answer = client.post("/no", content=size * b"a")
            assert (answer.status_code, answer.headers["connection"]) == (404, "keep-alive")


def test_unix_socket_serves(tmp_path: Path) -> None:
    """Clients without an address are served, also many in a row."""
    path = tmp_path / "s"
    with Server(host=f"unix:{path}") as server:
        server.logged("Listening", 20)
        transport = httpx.HTTPTransport(uds=str(path), retries=5)
        with httpx.Client(transport=transport, base_url="http://x") as client:
            for _ in range(50):
                if client.get("/health").status_code == 200:
                    break
            assert client.post("/tokenize", content=BODY).status_code == 200


def ready_at(server: serving.Server, sent: bytes) -> bytes:
    """Wait for an answer of status 200 to what is sent; return the beginning of the last one."""
    found = b""
    deadline_s = time.monotonic() + 30
    while b" 200 " not in found and time.monotonic() < deadline_s:
        time.sleep(0.05)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
        ):
            client.sendall(sent)
            found = client.recv(65536)
    return found


def test_proxy_may_say_whom_it_speaks_for() -> None:
    """The line of a proxy before the first request is gunicorn's to read, in one piece or two."""
    line = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n"
    with Server(proxy_protocol="v1") as server:
        ready_at(server, line + CLOSE)
        assert statuses(answers(server, line + HEALTH + CLOSE)) == [200, 200]
        assert statuses(answers(server, line[:9], line[9:], HEALTH + CLOSE)) == [200, 200]


def test_other_protocols_of_gunicorn_are_its_own() -> None:
    """What is no HTTP/1 is read by gunicorn, on a thread."""
    values = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/version", "SERVER_PROTOCOL": "HTTP/1.1"}
    body = b"".join(
        struct.pack("<H", len(text)) + text.encode() for pair in values.items() for text in pair
    )
    with Server(protocol="uwsgi") as server:
        server.logged("Booting worker", 20)
        packet = struct.pack("<BHB", 0, len(body), 0) + body
        assert ready_at(server, packet).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """A server with a certificate of its own, and what a client needs to believe it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [shutil.which("openssl") or "", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(cafile=str(cert))
    fake: dict[str, Any] = {"certfile": str(cert), "keyfile": str(key), "read_timeout_s": 1.0}
    with Server(script=[x for i in range(10) for x in (0.05, f"w{i} ")], **fake) as server:
        server.logged("Listening", 20)
        yield server, context


def test_tls_serves(encrypted: Encrypted) -> None:
    """Bodies, streams and kept connections work through TLS."""
    server, context = encrypted
    chat = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with httpx.Client(verify=context, base_url=f"https://127.0.0.1:{server.port}") as client:
        while client.get("/health").status_code != 200:
            pass
        for size in (10, 100_000, 2_000_000):
            assert client.post("/tokenize", json={"content": size * "a"}).status_code == 200
        assert client.post("/v1/chat/completions", json=chat).text.endswith("data: [DONE]\n\n")


def test_tls_handshakes_hold_up_nobody(encrypted: Encrypted) -> None:
    """Clients that begin no handshake, half of one, or another protocol cost no thread."""
    server, context = encrypted
    clients = []
    for sent in 20 * [b"", b"\x16\x03\x01\x02\x00\x01", HEALTH]:
        client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        client.sendall(sent)
        clients.append(client)
    answer = httpx.get(f"https://127.0.0.1:{server.port}/health", verify=context, timeout=4)
    assert answer.status_code in {200, 503}
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            # An alert of TLS, perhaps, and then nothing.
            assert len(received(client)) < 100


def test_reset_connections_leave_nothing(server: serving.Server) -> None:
    """Clients that break their connections at any time leave a server that answers."""
    for sent in (b"", HEALTH[:10], SIZED[:-3], SIZED, HEALTH + SIZED[:-3]):
        for _ in range(5):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(sent)
            client.close()
    assert health_s(server.port) < 5
    assert "Traceback" not in server.log
