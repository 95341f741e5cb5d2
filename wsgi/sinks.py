"""Where the bytes of a stream go: one kind of sink for each kind of connection."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from .client import ClientGone
from .pump import OwnThread

if TYPE_CHECKING:
    from .gunicorn_seam import ChunkedAnswer
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
    """A plain socket: the pump sends chunks of a body that the server has begun.

    Args:
        answer: the server's, whose framing is kept to.
        pump: runs the streams' tasks.
    """

    def __init__(self, answer: ChunkedAnswer, pump: Pump) -> None:
        self.runner: Runner = pump
        self._answer = answer
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether the connection, and what the server has sent, allow it."""
        return self._answer.is_open

    def send(self, data: bytes) -> bool:
        """Send bytes, not none, as far as the connection takes them at once."""
        frame = self._answer.frame(data)
        try:
            n_sent = self._answer.socket.send(frame, socket.MSG_DONTWAIT)
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
                self._answer.socket.sendall(rest)
            except OSError:
                raise ClientGone from None
        return b""
