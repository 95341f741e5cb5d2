"""One client's connection, and how far it has come."""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

from ..gunicorn_seam import TConn
from .requests import RequestReader
from .roster import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..gunicorn_seam import Config
    from .inbox import Inbox
    from .limits import Limits


_LAST_READ_BYTES = 256 * 1024


class Stage(enum.Enum):
    """What a connection is at."""

    READING = enum.auto()
    """Its handshake, its first byte, a head or a body is awaited."""
    POURING = enum.auto()
    """What came of its body is being written to disk."""
    BUSY = enum.auto()
    """Its request has a thread, or waits for one."""
    IDLE = enum.auto()
    """It was answered, and may send another request."""
    LEAVING = enum.auto()
    """It was answered for the last time, and its client has yet to close it."""
    CLOSED = enum.auto()


class Connection(TConn):
    """A connection as gunicorn's worker knows it, whose requests are read before it gets it.

    Args:
        cfg: gunicorn's.
        sock: the accepted socket.
        client: its address.
        server: the listening one's.
        limits: bounds.
        body_limit: returns the longest body of a path.
        tls: wraps the socket; None where nothing is encrypted.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the first four are gunicorn's
        self,
        cfg: Config,
        sock: socket.socket,
        client: Any,
        server: Any,
        limits: Limits,
        body_limit: Callable[[str], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(cfg, sock, client, server)
        bound_sends(sock, limits.send_s)
        self.holder = client_of(client)
        self.stage = Stage.READING
        self.began_s = 0.0
        self.deadline_s = 0.0
        self.stalled_s: float | None = None
        self.events = 0
        self.n_drained = 0
        self.n_requests = 0
        self.reader = RequestReader(cfg, client, limits.head_bytes, body_limit)
        self.is_foreign = not speaks_http_1_only(cfg)
        # gunicorn's worker has nothing to wait for.
        self.data_ready = True
        self._is_tls = self._is_shaking = tls is not None
        if self.is_foreign:
            return
        self.parser, self.initialized = self.reader.parser, True
        if tls is not None:
            self.sock = tls.wrap_socket(
                sock,
                server_side=True,
                suppress_ragged_eofs=cfg.suppress_ragged_eofs,
                do_handshake_on_connect=False,
            )

    @property
    def inbox(self) -> Inbox:
        """What it has sent and nobody has read."""
        return self.reader.inbox

    @property
    def path(self) -> str:
        """That of its request; empty while it is not known."""
        request = self.reader.request
        return str(request.path) if request is not None else ""

    @property
    def method(self) -> str:
        """As :attr:`path`."""
        request = self.reader.request
        return str(request.method) if request is not None else ""

    def receive(self) -> bytes:
        """Return what came, b"" at the end. Raises BlockingIOError, SSLWant..., OSError."""
        if self._is_shaking:
            self._encrypted().do_handshake()
            self._is_shaking = False
        if self._is_tls:
            return self.sock.recv(self.reader.n_wanted)
        return self.sock.recv(self.reader.n_wanted, socket.MSG_DONTWAIT)

    def _encrypted(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - for the type checker
        return self.sock

    def resume(self) -> None:
        """Be read by the loop again, after a thread had it."""
        if self._is_tls:
            self.sock.settimeout(0)

    def is_at_request(self) -> bool:
        """Return whether the next byte begins a request, now that one was answered."""
        return self.is_foreign or bool(self.reader.parser.finish_body())

    def send_now(self, data: bytes) -> None:
        """Send a short text as far as the connection takes it at once."""
        with contextlib.suppress(OSError, ValueError):
            if self._is_tls:
                self.sock.send(data)
            else:
                self.sock.send(data, socket.MSG_DONTWAIT)

    def send_last(self, data: bytes) -> None:
        """Send a short text before the connection is closed without more ado.

        What has come is read before, since a close would destroy the text for its sake.
        """
        self.send_now(data)
        with contextlib.suppress(OSError, ValueError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.recv(_LAST_READ_BYTES, socket.MSG_DONTWAIT)

    def hang_up(self) -> None:
        """Make the thread that sends, or waits to send, fail; it gives the connection back."""
        with contextlib.suppress(OSError, ValueError):
            # That of the base class: TLS would be ended under the thread that uses it.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def speaks_http_1_only(cfg: Config) -> bool:
    """Return whether every request can be read here.

    gunicorn has other protocols, for who asks for them; their connections are given to a thread
    as soon as they say something.
    """
    return cfg.protocol == "http" and "h2" not in cfg.http_protocols


def bound_sends(sock: socket.socket, send_s: float) -> None:
    """End a blocking send that makes no progress for so long.

    It is the system that watches the time: a timeout of Python's would make every send wait for
    it, those of the pump included.
    """
    seconds, rest = divmod(send_s, 1)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(seconds), int(rest * 1e6))
    )
