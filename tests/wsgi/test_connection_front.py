"""What accepts connections: it never stops for long, and probes have threads of their own."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import threading
import types
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from gunicorn.config import Config

from tests.wsgi.hall import GET
from wsgi import serve
from wsgi.connections import front
from wsgi.connections.connection import Connection


class FakeWorker:
    """As much of gunicorn's worker as the front knows."""

    def __init__(self) -> None:
        self.cfg = Config()
        self.cfg.set("threads", 1)
        self.selector = selectors.DefaultSelector()
        self.threads = ThreadPoolExecutor(1)
        self.alive = True
        self.accepting: list[bool] = []
        self.answered = threading.Event()

    def set_accept_enabled(self, enabled: Any) -> None:
        self.accepting.append(enabled)

    def handle(self, connection: Connection) -> bool:
        self.answered.set()
        return False

    def submit(self, connection: Connection) -> Future[bool]:
        return self.threads.submit(self.handle, connection)

    def defer(self, *_: Any) -> None:
        pass

    def refuse(self, *_: Any) -> None:
        raise AssertionError("nothing was wrong")


class Listener:
    """A listening socket, whose clients fail or are there."""

    def __init__(self, *coming: socket.socket | OSError) -> None:
        self._coming = list(coming)

    def accept(self) -> tuple[socket.socket, Any]:
        if not self._coming:
            raise BlockingIOError(errno.EAGAIN, "nobody")
        first = self._coming.pop(0)
        if isinstance(first, OSError):
            raise first
        return first, ("192.0.2.1", 1)

    def getsockname(self) -> Any:
        return ("192.0.2.2", 80)


@pytest.fixture
def worker() -> Iterator[FakeWorker]:
    made = FakeWorker()
    yield made
    made.threads.shutdown()
    made.selector.close()


@pytest.fixture
def door(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> Iterator[front.Front]:
    """A front of that worker."""
    settings = types.SimpleNamespace(max_unfinished=0, read_timeout_s=20.0)
    monkeypatch.setattr(serve, "get_settings", lambda: settings)
    each: Any = worker
    made = front.Front(each)
    yield made
    made.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EPROTO, errno.EPERM])
def test_accepting_pauses_where_it_fails(
    worker: FakeWorker,
    door: front.Front,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """No room for a connection, or a broken one: the loop is left alone a while, and told once."""
    monkeypatch.setattr(front, "_SWEEP_S", 0.0)
    monkeypatch.setattr(front, "_PAUSE_S", 0.0)
    with caplog.at_level(logging.WARNING, "pyllama.wsgi"):
        for _ in range(3):
            door.accept(Listener(OSError(number, "no")))
            assert door.is_watching
            door.look()
    assert worker.accepting == 3 * [False, True]
    assert len(caplog.records) == 1


def test_nobody_there_is_no_failure(worker: FakeWorker, door: front.Front) -> None:
    """A client that left before it was accepted, and the end of the row, change nothing."""
    door.accept(Listener(ConnectionAbortedError(errno.ECONNABORTED, "left")))
    assert worker.accepting == []


@pytest.mark.parametrize("path", [b"/health", b"/v1/health", b"/metrics"])
def test_probes_do_not_wait_for_threads(worker: FakeWorker, door: front.Front, path: bytes) -> None:
    """Where every thread of the pool is taken, those who ask how the server is are answered."""
    is_over = threading.Event()
    worker.threads.submit(is_over.wait, 20)
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            theirs.sendall(GET.replace(b"/health", path))
            door.accept(Listener(ours))
            for key, _ in worker.selector.select(5):
                key.data(key.fileobj)
            assert worker.answered.wait(10)
    finally:
        is_over.set()
        ours.close()
