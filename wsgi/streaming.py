"""Answers that come bit by bit.

What is true of streams under WSGI, and shapes this file: an exception after the first byte reaches
no error handler, so it must become an event; a generator that was never started runs no
``finally``, so the stream is a class; and only ``close()`` is sure to be called.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from .client import ClientGone
from .errors import describe, log_failure
from .sinks import BodySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyllama.generations import Generations
    from pyllama.results import Delta

    from .errors import ErrorInfo
    from .sinks import Sink, SocketSink
    from .watched import Watched

PING_S = 15.0
"""Seconds of silence after which a stream sends a ping; proxies close silent connections."""


class StreamEncoder(Protocol):
    """How a dialect writes a stream. ``None`` means that there is nothing to send."""

    media_type: str

    @property
    def ping(self) -> bytes | None:
        """What to send now that nothing was sent for a while."""

    def begin(self) -> bytes | None:
        """Return what comes before any answer."""

    def delta(self, index: int, delta: Delta) -> bytes | None:
        """Return a piece of an answer; the last piece of each has its ``finish_reason``."""

    def end(self, generations: Generations) -> bytes:
        """Return what follows the last piece of the last answer."""

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed."""


class EventStream:
    """The body of a streamed answer: an iterator that a WSGI server closes in every case.

    Args:
        watched: the generations; the stream closes them.
        encoder: the dialect.
        ping_s: seconds of silence before a ping.
        socket_sink: where all but the first bytes and the ends of answers go if the connection
            allows it; None where this iterator is the only way.
    """

    def __init__(
        self,
        watched: Watched,
        encoder: StreamEncoder,
        *,
        ping_s: float = PING_S,
        socket_sink: SocketSink | None = None,
    ) -> None:
        self._watched = watched
        self._encoder = encoder
        self._ping_s = ping_s
        self._socket_sink = socket_sink
        self._written_s = time.monotonic()
        self._is_begun = False
        self._is_ended = False
        self._status = 200
        self._sink: Sink = BodySink()
        self._turns: Iterator[tuple[int, Delta] | None] = self._drain()

    def __iter__(self) -> EventStream:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next bytes, waiting for them; raises nothing but ``StopIteration``."""
        if self._is_ended:
            raise StopIteration
        try:
            data = self._next()
        except Exception as exc:  # noqa: BLE001 - past the first byte nobody else can tell it
            self._is_ended = True
            log_failure(exc)
            info = describe(exc)
            self._status = info.status
            if isinstance(exc, ClientGone):
                raise StopIteration from None
            data = self._encoder.error(info)
        if data is None:
            self._is_ended = True
            raise StopIteration
        self._written_s = time.monotonic()
        return data

    def close(self) -> None:
        """Abort what still runs, and write the log line; idempotent."""
        self._is_ended = True
        # It holds this object, which would be left to the garbage collector.
        self._turns = iter(())
        self._watched.close()
        self._watched.record.write(self._status)

    def _drain(self) -> Iterator[tuple[int, Delta] | None]:
        return self._watched.drain(self._take, self._look, self._sink.runner)

    def _next(self) -> bytes | None:
        """Return the next bytes, None after the last."""
        if not self._is_begun:
            self._is_begun = True
            opening = self._encoder.begin()
            if opening is not None:
                return opening
        elif self._socket_sink is not None:
            # The head went out with the first bytes: only now it is known how the body is framed.
            sink, self._socket_sink = self._socket_sink, None
            if sink.is_open:
                self._sink = sink
                self._turns = self._drain()
        for last in self._turns:
            data = self._sink.flush() if last is None else self._end(*last)
            if data:
                return data
        return None

    def _take(self, index: int, delta: Delta) -> bool:
        return self._send(self._encoder.delta(index, delta))

    def _look(self) -> bool:
        silence_s = time.monotonic() - self._written_s
        return silence_s >= self._ping_s and self._send(self._encoder.ping)

    def _send(self, data: bytes | None) -> bool:
        """Send bytes from whichever thread; return whether some are left for the own thread."""
        if not data:
            return False
        self._written_s = time.monotonic()
        return not self._sink.send(data)

    def _end(self, index: int, delta: Delta) -> bytes | None:
        """Return the end of an answer; with that of the last one goes the end of the stream."""
        data = self._encoder.delta(index, delta)
        if self._watched.generations.is_whole:
            data = (data or b"") + self._encoder.end(self._watched.generations)
        return data
