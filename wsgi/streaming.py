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
from .watched import Ride

if TYPE_CHECKING:
    from pyllama.generations import Generations
    from pyllama.results import Delta

    from .errors import ErrorInfo
    from .pump import Pump
    from .watched import Watched
    from .wire import Wire

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
        wire: where the pump sends all but the first and the last bytes; None where this iterator
            is the only way.
    """

    def __init__(
        self,
        watched: Watched,
        encoder: StreamEncoder,
        *,
        ping_s: float = PING_S,
        wire: Wire | None = None,
    ) -> None:
        self._watched = watched
        self._encoder = encoder
        self._ping_s = ping_s
        self._wire = wire
        self._written_s = time.monotonic()
        self._is_begun = False
        self._is_ended = False
        self._status = 200

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
        self._written_s = time.monotonic()
        return data

    def close(self) -> None:
        """Abort what still runs, and write the log line; idempotent."""
        self._is_ended = True
        self._watched.close()
        self._watched.record.write(self._status)

    def _next(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            opening = self._encoder.begin()
            if opening is not None:
                return opening
        elif self._watched.pump is not None and self._wire is not None and self._wire.is_open:
            return self._ride(self._watched.pump, self._wire)
        while True:
            item = self._watched.poll()
            data = self._encode(*item) if item is not None else self._ping()
            if data is not None:
                return data

    def _ride(self, pump: Pump, wire: Wire) -> bytes:
        """Let the pump send what comes; return the last bytes."""
        last = b""

        def take(index: int, delta: Delta) -> bool:
            nonlocal last
            data = self._encode(index, delta)
            if self._is_ended:
                last = data or b""
                return True
            return blocks(data)

        def look() -> bool:
            return blocks(self._ping())

        def blocks(data: bytes | None) -> bool:
            if not data:
                return False
            self._written_s = time.monotonic()
            return not wire.send(data)

        while not self._is_ended:
            Ride(self._watched, take, look).go(pump)
            # Only this thread may wait for a client that reads slowly, or compute an answer's end.
            wire.flush()
            for item in self._watched.ends():
                take(*item)
                wire.flush()
        return last

    def _ping(self) -> bytes | None:
        silence_s = time.monotonic() - self._written_s
        return self._encoder.ping if silence_s >= self._ping_s else None

    def _encode(self, index: int, delta: Delta) -> bytes | None:
        data = self._encoder.delta(index, delta)
        if not self._watched.is_whole:
            return data
        self._is_ended = True
        return (data or b"") + self._encoder.end(self._watched.generations)
