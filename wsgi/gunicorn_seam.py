"""What this server takes for granted of gunicorn's inside, in one place, and for which versions.

gunicorn's settings and its hooks are its public face. What is here is not: classes that are
subclassed elsewhere, and attributes that only this module reads and sets. No other module imports
gunicorn, and ``tests/wsgi/test_gunicorn_seam.py`` holds each assumption against the one that is
installed: when its version is raised, begin there.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import gunicorn
from gunicorn import sock as gunicorn_sock
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers.gthread import TConn, ThreadWorker

from pyllama.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = [
    "Arbiter",
    "ChunkedAnswer",
    "Config",
    "InvalidHeader",
    "LimitRequestHeaders",
    "LoopWorker",
    "RequestParser",
    "TConn",
    "Unreader",
    "body_length",
    "check_version",
    "early_signals",
    "has_failed",
    "ssl_context",
    "take_expectation",
]

_FIRST, _NEXT = (27, 0), (28, 0)


def check_version(version: tuple[int, ...] = gunicorn.version_info) -> None:
    """Raise ConfigError where gunicorn is none that this server was tried with."""
    if not _FIRST <= version < _NEXT:
        bounds = f">={_FIRST[0]}.{_FIRST[1]},<{_NEXT[0]}"
        raise ConfigError(
            f"gunicorn {'.'.join(map(str, version))} is installed, whose inside this server does "
            f"not know; install 'gunicorn{bounds}'"
        )


class LoopWorker(ThreadWorker):
    """gunicorn's threaded worker, as its loop is used here."""

    @property
    def selector(self) -> selectors.BaseSelector:
        """The loop's; what is registered with a function as data has it called with the file."""
        selector: selectors.BaseSelector = self.poller
        return selector

    def open_loop(self) -> None:
        """Have the loop woken by signals, and by what other threads defer to it."""
        # Python writes to this pipe when a signal arrives, so the loop need not be woken by a
        # handler.
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, _empty)
        calls: Any = self.method_queue
        self.poller.register(calls.fileno(), selectors.EVENT_READ, calls.run_callbacks)
        # That a connection may stay open is not for gunicorn to say.
        self.max_keepalived = sys.maxsize

    def close_loop(self) -> None:
        """Leave the threads alone, and close what the loop waits for."""
        self.tpool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    def drop_waiting(self) -> None:
        """Forget the requests that have no thread yet."""
        self.tpool.shutdown(wait=False, cancel_futures=True)

    def defer(self, call: Callable[..., object], *args: object) -> None:
        """Have a function called on the loop's thread."""
        self.method_queue.defer(call, *args)

    def submit(self, connection: TConn) -> Future[bool]:
        """Give a connection whose request was parsed to one of the threads."""
        future: Future[bool] = self.tpool.submit(self.handle, connection)
        return future

    def refuse(self, connection: TConn, exc: Exception) -> None:
        """Answer a request that gunicorn's parser did not take."""
        self.handle_error(None, connection.sock, connection.client, exc)


def _empty(pipe: int) -> None:
    os.read(pipe, 4096)


class ChunkedAnswer:
    """The answer to one request of HTTP/1.1, whose body gunicorn sends in chunks.

    Args:
        response: gunicorn's.
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        self.socket: socket.socket = response.sock

    @classmethod
    def behind(cls, start_response: object) -> ChunkedAnswer | None:
        """Return the answer that a WSGI application begins with this; None where it is another's.

        HTTP/2 frames in another way, and its streams share a connection.
        """
        response = getattr(start_response, "__self__", None)
        return cls(response) if type(response) is Response else None

    @property
    def is_open(self) -> bool:
        """Whether chunks may be sent past gunicorn: the head is out, and announced them.

        What goes through TLS may have to be read for before it can be written.
        """
        response = self._response
        is_plain = not isinstance(self.socket, ssl.SSLSocket)
        return is_plain and bool(response.headers_sent and response.chunked)

    def frame(self, data: bytes) -> bytes:
        """Return bytes, not none, as they go through the connection; they count as sent."""
        self._response.sent += len(data)
        return b"%X\r\n%b\r\n" % (len(data), data)


def ssl_context(cfg: Config) -> ssl.SSLContext | None:
    """Return what encrypts connections; None where nothing does."""
    return gunicorn_sock.ssl_context(cfg) if cfg.is_ssl else None


def body_length(request: Any) -> int | None:
    """Return how long a request says that its body is; None where that comes in chunks."""
    reader = request.body.reader
    return None if isinstance(reader, ChunkedReader) else int(reader.length)


def has_failed(request: Any) -> bool:
    """Return whether a request's body could not be read, so that nobody knows where it ends."""
    return bool(request.body.failed)


def take_expectation(request: Any) -> bool:
    """Return whether a client waits to be told to go on; from now on gunicorn does not tell it."""
    expects = bool(request._expected_100_continue)  # noqa: SLF001 - nothing else tells
    request._expected_100_continue = False  # noqa: SLF001 - same
    return expects


def early_signals(server: Arbiter) -> Any:
    """Return the queue of signals that the handlers of the master, and of its fork, put into."""
    return server.SIG_QUEUE
