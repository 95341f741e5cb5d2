"""The connection of one response, for a thread that must not wait for the client to read."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from .client import ClientGone

if TYPE_CHECKING:
    from gunicorn.http.wsgi import Response


class Wire:
    """Sends parts of a chunked body, in the place of the gunicorn that began to send it.

    Args:
        response: gunicorn's; its framing and its count of bytes are kept to.
    """

    def __init__(self, response: Response) -> None:
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
        """Send a part that is not empty, without waiting; what is left is for :meth:`flush`.

        Returns:
            Whether the connection took all of it.

        Raises:
            ClientGone: the connection is broken.
        """
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

    def flush(self) -> None:
        """Wait until the connection has taken what :meth:`send` left.

        Raises:
            ClientGone: the connection is broken.
        """
        rest, self._rest = self._rest, b""
        if rest:
            try:
                self._socket.sendall(rest)
            except OSError:
                raise ClientGone from None
