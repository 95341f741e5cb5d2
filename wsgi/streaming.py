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
    from collections.abc import Callable

    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta

    from .client import ClientWatch
    from .errors import ErrorInfo
    from .request_log import RequestRecord

# A client that left is noticed within 250 ms; the difference is for the thread to be scheduled.
POLL_S = 0.2
# Between deltas that come faster than this nobody looks: each look gives the GIL away.
_LOOK_S = 0.1

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


class Watched:
    """The generations of one request on behalf of one client; used by one thread.

    Args:
        generations: they were just started; closed by :meth:`close`.
        watch: tells when the client left.
        record: gets times, counts and the outcome.
    """

    def __init__(self, generations: Generations, watch: ClientWatch, record: RequestRecord) -> None:
        self.generations = generations
        self.record = record
        self._watch = watch
        self._looked_s = 0.0
        self._n_open = len(generations)

    @property
    def is_whole(self) -> bool:
        """Whether every answer has ended by itself."""
        return self._n_open == 0

    def poll(self) -> tuple[int, Delta] | None:
        """Return an answer's index and next delta, or ``None`` if there was none for a while.

        Raises:
            ClientGone: the client left.
            EngineError: a generation failed.
            Cancelled: the server shuts down and could wait no longer.
            InvalidResponse: an answer is not what was asked for.
        """
        item = self.generations.poll(POLL_S)
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            if self._watch.gone():
                raise ClientGone
        if item is not None:
            self.record.note_delta()
            self._n_open -= item[1].finish_reason is not None
        return item

    def collect(self, fold: Callable[[Delta], None] | None = None) -> list[Completion]:
        """Return the whole answers, each delta given to a fold; raises what :meth:`poll` raises."""
        while not self.is_whole:
            item = self.poll()
            if item is not None and fold is not None:
                fold(item[1])
        return self.generations.completions

    def close(self) -> None:
        """Free the slots, aborting what still runs; idempotent."""
        self.record.note_end(self.generations, is_whole=self.is_whole)
        self.generations.close()


class EventStream:
    """The body of a streamed answer: an iterator that a WSGI server closes in every case.

    Args:
        watched: the generations; the stream closes them.
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
        while True:
            data = self._step()
            if data is not None:
                return data

    def _step(self) -> bytes | None:
        item = self._watched.poll()
        if item is None:
            silence_s = time.monotonic() - self._written_s
            return self._encoder.ping if silence_s >= self._ping_s else None
        data = self._encoder.delta(*item)
        if not self._watched.is_whole:
            return data
        self._is_ended = True
        return (data or b"") + self._encoder.end(self._watched.generations)
