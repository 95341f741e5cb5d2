"""Whether the client of a request is still there, asked without writing to it."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any

from pyllama.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientGone(Cancelled):
    """The client closed its connection before the answer was whole."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection")


class ClientWatch:
    """Watches the connection of one request.

    A client that shuts down only its sending side counts as gone: no HTTP client does that and
    then waits for an answer.

    Args:
        environ: the WSGI environment. Servers other than gunicorn do not say which socket a
            request came from; with them a client is noticed to be gone at the next write only.
    """

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._socket: socket.socket | None = environ.get("gunicorn.socket")

    def gone(self) -> bool:
        """Return whether the client closed the connection; never blocks, consumes nothing."""
        if self._socket is None:
            return False
        try:
            # A socket with a timeout would wait for it, whatever the flags say.
            if self._socket.gettimeout() and not _has_news(self._socket):
                return False
            # The method of the base class: an SSLSocket's own recv refuses flags, and its
            # decrypted stream would have to be read to learn the same thing.
            waiting = socket.socket.recv(self._socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return False
        except (OSError, ValueError):  # the latter where it was closed here
            return True
        return not waiting or self._hung_up()

    def look(self) -> None:
        """Raise :class:`ClientGone` if the client closed the connection."""
        if self.gone():
            raise ClientGone

    def _hung_up(self) -> bool:
        """Look past unread bytes, such as a TLS close alert or a pipelined request."""
        hang_up: int = getattr(select, "POLLRDHUP", 0)  # Linux only
        if not hang_up or self._socket is None:
            return False
        poller = select.poll()
        poller.register(self._socket, hang_up)
        return bool(poller.poll(0))


def _has_news(sock: socket.socket) -> bool:
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))
