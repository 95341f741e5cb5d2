"""Answers that come bit by bit, and answers that are collected first.

Both poll the generation and watch the client with the same :class:`Watched`. What is true of
streams under WSGI, and shapes this file: an exception after the first byte reaches no error
handler, so it must become an event; a generator that was never started runs no ``finally``, so the
stream is a class; and only ``close()`` is sure to be called.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from .client import ClientGone
from .errors import describe, log_failure

if TYPE_CHECKING:
    from pyllama.generation import Generation
    from pyllama.results import Delta

    from .client import ClientWatch
    from .errors import ErrorInfo
    from .request_log import RequestRecord

# A client that left is noticed within 250 ms; the difference is for the thread to be scheduled.
POLL_S = 0.2

PING_S = 15.0
"""Seconds of silence after which a stream sends a ping; proxies close silent connections."""


class StreamEncoder(Protocol):
    """How a dialect writes a stream. ``None`` means that there is nothing to send."""

    media_type: str
    ping: bytes | None

    def begin(self) -> bytes | None:
        """Return what comes before any text."""

    def delta(self, delta: Delta) -> bytes | None:
        """Return one piece of text."""

    def end(self, generation: Generation) -> bytes:
        """Return what follows the last text."""

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed."""


class Watched:
    """One generation on behalf of one client; used by one thread.

    Args:
        generation: a generation that was just started; closed by :meth:`close`.
        watch: tells when the client left.
        record: gets times, counts and the outcome.
    """

    def __init__(self, generation: Generation, watch: ClientWatch, record: RequestRecord) -> None:
        self.generation = generation
        self.record = record
        self._watch = watch
        self._is_whole = False

    def poll(self) -> Delta | None:
        """Return the next delta, or ``None`` if there was none for a while.

        Raises:
            ClientGone: the client left.
            EngineError: the generation failed.
            Cancelled: the server shuts down and could wait no longer.
        """
        delta = self.generation.poll(POLL_S)
        if self._watch.gone():
            raise ClientGone
        if delta is not None:
            self.record.note(delta)
            self._is_whole = delta.finish_reason is not None
        return delta

    def collect(self) -> str:
        """Return the whole text; raises what :meth:`poll` raises."""
        parts: list[str] = []
        while not self._is_whole:
            delta = self.poll()
            if delta is not None:
                parts.append(delta.text)
        return "".join(parts)

    def close(self) -> None:
        """Free the slot, aborting what still runs; idempotent."""
        if self._is_whole:
            self.record.note_end(self.generation)
        self.generation.close()


class EventStream:
    """The body of a streamed answer: an iterator that a WSGI server closes in every case.

    Args:
        watched: the generation; the stream closes it.
        encoder: the dialect.
        ping_s: seconds of silence before a ping.
    """

    def __init__(self, watched: Watched, encoder: StreamEncoder, *, ping_s: float = PING_S) -> None:
        self._watched = watched
        self._encoder = encoder
        self._ping_s = ping_s
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
        """Abort the generation if it still runs, and write the log line; idempotent."""
        self._is_ended = True
        self._watched.close()
        self._watched.record.write(self._status)

    def _next(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            opening = self._encoder.begin()
            if opening is not None:
                return opening
        while True:
            data = self._step()
            if data is not None:
                return data

    def _step(self) -> bytes | None:
        delta = self._watched.poll()
        if delta is None:
            silence_s = time.monotonic() - self._written_s
            return self._encoder.ping if silence_s >= self._ping_s else None
        text = self._encoder.delta(delta)
        if delta.finish_reason is None:
            return text
        self._is_ended = True
        return (text or b"") + self._encoder.end(self._watched.generation)
