"""Clients that hold connections without using them: everybody else is served."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from bench.attackers import KINDS, besieged
from bench.siege import chat_s, health_s, summary
from tests.support import serving
from tests.wsgi.serving import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
# 2 slots and 4 places in the queue: 14 threads. What holds them is far from what must be waited
# for: a server that waits for such a client waits for ever, or for tens of seconds.
LATE_S = 4.0


@pytest.fixture(scope="module")
def server() -> Iterator[serving.Server]:
    """A server that waits long for slow clients, so that nothing is solved by waiting."""
    with Server(read_timeout_s=60.0) as server:
        yield server.ready()


def median_health_s(port: int, n: int = 10) -> float:
    """Return what /health takes, mostly; whoever waits for a thread never answers in time."""
    return statistics.median(health_s(port, timeout_s=LATE_S) for _ in range(n))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "slow readers"])
def test_health_and_chat_are_answered_beside(server: serving.Server, kind: str) -> None:
    """Ever so many of such clients take no thread from those who ask for something."""
    calm_s = median_health_s(server.port)
    with besieged(server.port, kind):
        health = median_health_s(server.port)
        assert chat_s(server.port, LATE_S) is not None
    assert health < max(20 * calm_s, 0.5)


def test_streams_go_on_beside_half_heads() -> None:
    """Streams that run when the half heads come bring all their words, and none waits for long."""
    with Server(script=[x for i in range(20) for x in (0.1, f"w{i} ")]) as server:
        server.ready()
        gaps: list[float] = []
        texts: list[str] = []

        def read() -> None:
            body = {**CHAT, "stream": True}
            last_s, text = time.monotonic(), ""
            with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
                for line in answer.iter_lines():
                    text += line
                    gaps.append(time.monotonic() - last_s)
                    last_s = time.monotonic()
            texts.append(text)

        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        with besieged(server.port, "half heads"), besieged(server.port, "half bodies"):
            for thread in threads:
                thread.join(30)
        assert [text.count('"content":"w') for text in texts] == 5 * [20]
        assert summary(gaps)[2] < 1.5


def test_unread_answers_give_way() -> None:
    """More clients than there are threads read nothing of their answers; others get theirs."""
    with Server(n_words=500, max_queue=2, stall_s=0.5) as server:
        server.ready()
        with besieged(server.port, "slow readers", 40):
            time.sleep(1.0)
            assert median_health_s(server.port) < 1.0
            # Refused by a thread of the pool, where the health is not.
            answer = httpx.post(f"{server.url}/v1/chat/completions", json={}, timeout=20)
            assert answer.status_code == 400


def test_client_that_reads_nothing_is_given_up() -> None:
    """An answer that makes no progress ends, and its slot is free, without anybody waiting."""
    with Server(n_words=500, send_s=0.5) as server:
        server.ready()
        with besieged(server.port, "slow readers", 1):
            server.logged("finish=cancelled", 15)
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("sent", "shape"),
    [
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n", ["error"]),
        (b"POST /v1/messages HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", ["error", "type"]),
        (b"POST /api/generate HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", ["error"]),
        (b"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", ["error"]),
    ],
    ids=["head", "anthropic", "ollama", "chunks"],
)
def test_half_a_request_is_408(sent: bytes, shape: list[str]) -> None:
    """After its time half a request is 408, in the shape of its route, and its connection ends."""
    with Server(read_timeout_s=0.5) as server:
        server.ready()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(sent)
            answer = received(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"Connection: close" in head
    assert sorted(orjson.loads(body)) == shape
    assert "status=408" in server.log


def received(client: socket.socket) -> bytes:
    """Read to the end of a connection."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_connections_beyond_the_files_are_survived() -> None:
    """With 256 files, 400 connections that stay are no more than the process can hold."""
    with Server(n_files=256) as server:
        server.ready()
        with besieged(server.port, "keep-alive", 400) as attackers:
            assert median_health_s(server.port) < 1.0
            assert chat_s(server.port, LATE_S) is not None
            assert attackers.n_closed > 100
        with besieged(server.port, "silent", 400):
            assert median_health_s(server.port) < 1.0
            assert chat_s(server.port, LATE_S) is not None
        assert "Traceback" not in server.log
        assert server.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_under_siege_ends(number: int) -> None:
    """Told to end, a server does not wait for clients that hold connections."""
    with Server(drain_s=30.0, read_timeout_s=60.0) as server:
        server.ready()
        with contextlib.ExitStack() as stack:
            for kind in ("half heads", "half bodies", "silent", "keep-alive", "dripped bodies"):
                stack.enter_context(besieged(server.port, kind, 20))
            start_s = time.monotonic()
            if number == signal.SIGTERM:
                server.terminate()
            else:
                server.signal_all(number)
            assert server.is_gone(), server.log
        assert time.monotonic() - start_s < 12
        assert "Traceback" not in server.log


def threads_of(server: serving.Server) -> int:
    """Count the threads of a server's worker."""
    listing = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not listing.exists():
        pytest.skip("this system does not list a process's children")
    (worker,) = listing.read_text().split()
    return len(list(Path(f"/proc/{worker}/task").iterdir()))


def test_clients_cost_no_threads(server: serving.Server) -> None:
    """The worker has as many threads under siege as it had before, and after."""
    for _ in range(20):  # as many as the pool begins
        chat_s(server.port)
    counts = [threads_of(server)]
    for kind in ("half heads", "half bodies", "large half bodies"):
        with besieged(server.port, kind):
            health_s(server.port)
            counts.append(threads_of(server))
    allowed = counts[0] + 14 + 1  # the pool, and what writes to disk
    assert max(counts) <= allowed, counts


def test_large_body_arrives_whole(server: serving.Server) -> None:
    """A body that is kept on disk meanwhile is the application's in full."""
    content: Any = "a" * 3_000_000
    answer = httpx.post(f"{server.url}/tokenize", json={"content": content}, timeout=20)
    assert answer.status_code == 200
    unread = httpx.post(f"{server.url}/nowhere", json={"content": content}, timeout=20)
    assert unread.status_code == 404
