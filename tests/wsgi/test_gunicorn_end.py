"""How a server ends: Ctrl-C and its like in every state, and a worker whose master is gone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.support import serving
from tests.wsgi.serving import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
ROUNDS = 2


@contextlib.contextmanager
def load(server: serving.Server, n_clients: int = 4) -> Iterator[None]:
    """Let clients connect, ask and leave as fast as they can, until the server is gone."""
    is_over = threading.Event()

    def ask() -> None:
        body = {**CHAT, "stream": True}
        while not is_over.is_set():
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{server.url}/health", timeout=5)
                httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=5)

    threads = [threading.Thread(target=ask) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def check_ended(server: serving.Server) -> None:
    """Check that all processes end, and by themselves: gunicorn tells of one that it kills."""
    assert server.is_gone(), server.log
    assert "was sent" not in server.log


@contextlib.contextmanager
def stream(server: serving.Server) -> Iterator[Iterator[str]]:
    """A stream that has begun."""
    body = {**CHAT, "stream": True}
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=20) as response:
        lines = response.iter_lines()
        next(lines)
        yield lines


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT,),
        (signal.SIGINT, signal.SIGINT, signal.SIGINT),
        (signal.SIGQUIT,),
        (signal.SIGTERM, signal.SIGINT),
    ],
    ids=["once", "thrice", "quit", "while it drains"],
)
def test_signals_under_load_end_everything(numbers: tuple[int, ...]) -> None:
    """Whatever a busy server does when Ctrl-C comes, no process of it is left."""
    draw = random.Random(len(numbers))  # noqa: S311 - no secret
    for _ in range(ROUNDS):
        with Server(script=["a", 0.01, "b"], drain_s=20.0) as server:
            server.ready()
            with load(server):
                time.sleep(draw.uniform(0.05, 0.4))
                for number in numbers:
                    server.signal_all(number)
                    time.sleep(draw.uniform(0.0, 0.05))
                check_ended(server)


def test_signal_within_submit_ends_the_worker(tmp_path: Path) -> None:
    """A SIGINT that comes while the thread pool holds its lock is not waited for under it."""
    file = tmp_path / "now"
    with Server(submit_signal=str(file)) as server:
        server.ready()
        file.touch()
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{server.url}/health", timeout=10)
        check_ended(server)
    assert not file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_before_the_worker_has_handlers_ends_it(number: int) -> None:
    """What arrives between the fork and the worker's own handlers is not lost."""
    with Server(early_signal=number, drain_s=20.0) as server:
        check_ended(server)
        assert server.process.returncode == 0


def test_signal_ends_a_stream_with_an_error() -> None:
    """A stream that runs at SIGINT ends at once, and well-formed."""
    with Server(script=["a", 60.0, "b"], drain_s=20.0) as server:
        server.ready()
        with stream(server) as lines:
            server.signal_all(signal.SIGINT)
            events = [line for line in lines if line]
        assert orjson.loads(events[-1].removeprefix("data: "))["error"]["code"] == 503
        check_ended(server)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9"])
def test_signal_does_not_wait_for_a_silent_client(sent: bytes) -> None:
    """A client that connected and sends nothing, or half a request, holds nobody up."""
    with Server(drain_s=20.0) as server:
        server.ready()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(sent)
            time.sleep(0.2)
            server.signal_all(signal.SIGINT)
            check_ended(server)


@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_worker_without_a_master_ends(number: int | None) -> None:
    """A worker whose master was killed frees the port, also while it drains."""
    with Server(script=["a", 60.0, "b"], drain_s=60.0) as server:
        server.ready()
        with stream(server) as lines:
            if number is not None:
                server.terminate()
                time.sleep(0.3)
            server.process.kill()
            assert server.is_gone(), server.log
            assert "503" in list(lines)[-2]
        with socket.socket() as successor:
            successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            successor.bind(("127.0.0.1", server.port))


def test_interrupted_download_is_no_traceback() -> None:
    """Ctrl-C while the master fetches the model ends it with the shell's status for that."""
    with Server(resolve_s=60.0) as server:
        until_handled(server)
        server.signal_all(signal.SIGINT)
        assert server.exit_status() == 130
        assert "Traceback" not in server.log


def until_handled(server: serving.Server) -> None:
    """Wait until the master has begun."""
    server.logged("Starting gunicorn", 20)
    time.sleep(0.2)


def test_server_whose_reload_failed_ends_as_any_other() -> None:
    """Only a first load that fails is told to the master as such."""
    with Server(load_error="it broke.", n_good_loads=1) as server:
        server.ready()
        answer: Any = httpx.post(f"{server.url}/api/models/load", json={"model": "fake"})
        assert (answer.status_code, answer.json()["error"][-9:]) == (503, "it broke.")
        server.terminate()
        assert server.exit_status() == 0
        assert "Traceback" not in server.log
