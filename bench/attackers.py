"""Clients that hold a server's connections without using them, as many as are asked for."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_STREAM = (
    b'{"messages":[{"role":"user","content":"Count."}],"stream":true,"max_tokens":100,'
    b'"logprobs":true,"top_logprobs":20,"ignore_eos":true}'
)
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Kind:
    """What one of many clients does."""

    n: int
    """How many of them there are, unless it is said."""
    opening: bytes
    """What each sends first."""
    drip: bytes = b""
    """What each sends every second from then on."""
    is_reader: bool = True
    """Whether it takes in what the server sends."""
    is_resetting: bool = False
    """Whether it breaks its connection every second, and comes again."""


KINDS = {
    "half heads": Kind(90, _HEAD),
    "half bodies": Kind(90, _HEAD + b'Content-Length: 1000\r\n\r\n{"messages"'),
    "large half bodies": Kind(20, _HEAD + b"Content-Length: 9000000\r\n\r\n" + 1_000_000 * b" "),
    "half chunks": Kind(90, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\n{"),
    "silent": Kind(300, b""),
    "keep-alive": Kind(1100, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
    "dripped heads": Kind(90, b"GET /health HTTP/1.1\r\nX: ", drip=b"a"),
    "dripped bodies": Kind(90, _HEAD + b"Content-Length: 1000\r\n\r\n{", drip=b" "),
    "slow readers": Kind(
        90, _HEAD + b"Content-Length: %d\r\n\r\n" % len(_STREAM) + _STREAM, is_reader=False
    ),
    "pipelines": Kind(20, 400 * b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", is_reader=False),
    "resets": Kind(60, _HEAD, is_resetting=True),
}


class Attackers:
    """Clients of one kind, on one thread; whom the server turns away comes again in a second.

    Args:
        port: of a server on the loopback.
        kind: what they do.
        n: how many they are.
    """

    def __init__(self, port: int, kind: Kind, n: int) -> None:
        self.n_closed = 0
        self.answers: list[bytes] = []
        self._port = port
        self._kind = kind
        self._selector = selectors.DefaultSelector()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attackers", daemon=True)
        self._sockets: list[socket.socket] = []
        for _ in range(n):
            self._come()

    @property
    def n_open(self) -> int:
        """How many connections the server has left them."""
        return len(self._sockets)

    def begin(self) -> None:
        """Go on as the kind does, until :meth:`end`."""
        self._thread.start()

    def end(self) -> None:
        """Close all connections."""
        self._is_over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()
        self._selector.close()

    def _come(self) -> None:
        client = socket.socket()
        if not self._kind.is_reader:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            client.settimeout(5)
            client.connect(("127.0.0.1", self._port))
            client.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                client.send(self._kind.opening)
        except OSError:
            client.close()
            return
        self._sockets.append(client)
        if self._kind.is_reader:
            self._selector.register(client, selectors.EVENT_READ)

    def _run(self) -> None:
        dripped_s, n_gone = time.monotonic(), 0
        while not self._is_over.is_set():
            # A selector without anything to look at need not wait.
            for key, _ in self._selector.select(0.1) if self._kind.is_reader else ():
                client: socket.socket = key.fileobj  # type: ignore[assignment]
                n_gone += self._is_closed(client)
            if not self._kind.is_reader:
                self._is_over.wait(0.1)
            if time.monotonic() - dripped_s >= 1.0:
                dripped_s = time.monotonic()
                self._drip()
                for _ in range(n_gone):
                    self._come()
                n_gone = 0

    def _is_closed(self, client: socket.socket) -> bool:
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self.answers.append(data[:200])
            return False
        self._leave(client)
        self.n_closed += 1
        return True

    def _drip(self) -> None:
        for client in list(self._sockets):
            if self._kind.is_resetting:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._leave(client)
                self._come()
            elif self._kind.drip:
                with contextlib.suppress(OSError):
                    client.send(self._kind.drip)

    def _leave(self, client: socket.socket) -> None:
        if self._kind.is_reader:
            self._selector.unregister(client)
        self._sockets.remove(client)
        client.close()


@contextlib.contextmanager
def besieged(port: int, name: str, n: int | None = None) -> Iterator[Attackers]:
    """Have clients of a kind of :data:`KINDS` at a server for the time of the block."""
    kind = KINDS[name]
    attackers = Attackers(port, kind, kind.n if n is None else n)
    attackers.begin()
    try:
        yield attackers
    finally:
        attackers.end()
