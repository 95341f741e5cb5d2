"""Where the bytes of a stream go: one kind of sink for each kind of connection."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Protocol

from .client import ClientGone
from .pump import OwnThread

if TYPE_CHECKING:
    from gunicorn.http.wsgi import Response

    from .pump import Pump, Runner


class Sink(Protocol):
    """Takes the bytes of one stream."""

    runner: Runner
    """What runs the stream's task, and so calls :meth:`send`."""

    def send(self, data: bytes) -> bool:
        """Take bytes, without waiting; return whether that was all, and :meth:`flush` has none.

        Raises:
            ClientGone: the connection is broken.
        """

    def flush(self) -> bytes:
        """Send what is left, waiting for it; return what the server has to send instead.

        Called by the request's own thread. Raises as :meth:`send`.
        """


class BodySink:
    """Whatever the connection: the server sends what the request's own thread returns to it."""

    def __init__(self) -> None:
        self.runner: Runner = OwnThread()
        self._rest = b""

    def send(self, data: bytes) -> bool:
        """Keep it."""
        self._rest += data
        return False

    def flush(self) -> bytes:
        """Return what was kept."""
        rest, self._rest = self._rest, b""
        return rest


class SocketSink:
    """A plain socket: the pump sends parts of a chunked body, as the gunicorn that began it would.

    Args:
        response: gunicorn's; its framing and its count of bytes are kept to.
        pump: runs the streams' tasks.
    """

    def __init__(self, response: Response, pump: Pump) -> None:
        self.runner: Runner = pump
        self._response = response
        self._socket: socket.socket = response.sock
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether parts of the body may be sent: the head is out, and announced chunks.

        What goes through TLS may have to be read for before it can be written.
        """
        response = self._response
        is_plain = not isinstance(self._socket, ssl.SSLSocket)
        return is_plain and bool(response.headers_sent and response.chunked)

    def send(self, data: bytes) -> bool:
        """Send bytes, not none, as far as the connection takes them at once."""
        self._response.sent += len(data)
        frame = b"%X\r\n%b\r\n" % (len(data), data)
        try:
            n_sent = self._socket.send(frame, socket.MSG_DONTWAIT)
        except BlockingIOError:
            n_sent = 0
        except OSError:
            raise ClientGone from None
        self._rest = frame[n_sent:]
        return not self._rest

    def flush(self) -> bytes:
        """Wait until the connection has taken what is left; the server has nothing to do."""
        rest, self._rest = self._rest, b""
        if rest:
            try:
                self._socket.sendall(rest)
            except OSError:
                raise ClientGone from None
        return b""
