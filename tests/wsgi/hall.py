"""A reception with clients, on a clock of the test's own."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from typing import Any

import orjson
from gunicorn.config import Config

from wsgi.connections.connection import Connection
from wsgi.connections.limits import Limits
from wsgi.connections.reception import Reception

CFG = Config()
HALF = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"


class Hall:
    """A reception, its loop, and clients."""

    def __init__(self, **limits: Any) -> None:
        self.now_s = 1000.0
        self.handed: list[Connection] = []
        self.reported: list[Exception] = []
        self.calls: list[Callable[[], None]] = []
        self.clients: list[socket.socket] = []
        self.poller = selectors.DefaultSelector()
        values = {"n_connections": 10, "n_idle": 8, "n_unfinished": 4, "n_threads": 2, **limits}
        self.limits = Limits(**values)
        self.reception = Reception(
            self.limits,
            self.poller,
            hand_over=self.handed.append,
            report=lambda _, exc: self.reported.append(exc),
            defer=lambda call, *args: self.calls.append(lambda: call(*args)),
            clock=lambda: self.now_s,
        )

    def connect(self, host: str = "192.0.2.1", sent: bytes = b"") -> tuple[Connection, Any]:
        """Let a client come, and send something."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(2)
        self.clients.append(theirs)
        theirs.sendall(sent)
        made = Connection(CFG, ours, (host, 1), ("", 80), self.limits, lambda _: 1 << 20)
        self.reception.admit(made)
        self.turn()
        return made, theirs

    def turn(self) -> None:
        """Let the loop do all that there is to do."""
        while events := self.poller.select(0):
            for key, _ in events:
                key.data(key.fileobj)

    def poured(self) -> None:
        """Wait for the disk."""
        self.reception._spool._thread.submit(lambda: None).result(10)
        while self.calls:
            self.calls.pop(0)()
        self.turn()

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
        self.turn()
        self.reception.sweep()

    def answer(self, made: Connection, *, is_kept: bool = True) -> None:
        """Do what a thread does with a request."""
        next(made.reader.parser)
        made.is_at_request()
        self.reception.take_back(made, is_kept=is_kept)

    def close(self) -> None:
        self.reception.close()
        for made in self.reception.busy:
            made.close()
        for client in self.clients:
            client.close()
        self.poller.close()


def refused(client: socket.socket) -> tuple[int, Any]:
    """Return the status and the body of an answer that ends its connection."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    return int(head.split()[1]), orjson.loads(body)
