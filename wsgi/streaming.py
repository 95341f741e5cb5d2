"""Answers that come bit by bit, and answers that are collected first.

Both poll the generation and watch the client with the same :class:`Watched`, on the request's
thread or, where there is one, on the pump's. What is true of streams under WSGI, and shapes this
file: an exception after the first byte reaches no error handler, so it must become an event; a
generator that was never started runs no ``finally``, so the stream is a class; and only ``close()``
is sure to be called.
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
    from .pump import Pump
    from .request_log import RequestRecord
    from .wire import Wire

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
    """The generations of one request on behalf of one client; used by one thread at a time.

    Args:
        generations: they were just started; closed by :meth:`close`.
        watch: tells when the client left.
        record: gets times, counts and the outcome.
        pump: takes in what comes, in the place of the request's own thread; None where there is
            none.
    """

    def __init__(
        self,
        generations: Generations,
        watch: ClientWatch,
        record: RequestRecord,
        pump: Pump | None = None,
    ) -> None:
        self.generations = generations
        self.record = record
        self.pump = pump
        self._watch = watch
        self._looked_s = 0.0
        self._n_open = len(generations)

    @property
    def is_whole(self) -> bool:
        """Whether every answer has ended by itself."""
        return self._n_open == 0

    def poll(self) -> tuple[int, Delta] | None:
        """Return an answer's index and next delta, or ``None`` if there was none for a while.

        Raises what :meth:`take` and :meth:`look` raise.
        """
        item = self.take(POLL_S)
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self.look()
        return item

    def take(self, timeout_s: float = 0.0) -> tuple[int, Delta] | None:
        """Return an answer's index and next delta, or ``None`` if there was none in time.

        Raises:
            EngineError: a generation failed.
            Cancelled: the server shuts down and could wait no longer.
            InvalidResponse: an answer is not what was asked for.
        """
        item = self.generations.poll(timeout_s)
        if item is not None:
            self.record.note_delta()
            self._n_open -= item[1].finish_reason is not None
        return item

    def look(self) -> None:
        """Look after the client.

        Raises:
            ClientGone: it left.
        """
        if self._watch.gone():
            raise ClientGone

    def collect(self, fold: Callable[[Delta], None] | None = None) -> list[Completion]:
        """Return the whole answers, each delta given to a fold; raises what :meth:`poll` raises."""

        def take(_index: int, delta: Delta) -> bool:
            if fold is not None:
                fold(delta)
            return self.is_whole

        if self.pump is not None:
            Ride(self, take).go(self.pump)
        while not self.is_whole:
            if (item := self.poll()) is not None:
                take(*item)
        return self.generations.completions

    def close(self) -> None:
        """Free the slots, aborting what still runs; idempotent."""
        self.record.note_end(self.generations, is_whole=self.is_whole)
        self.generations.close()


class Ride:
    """A request on the pump.

    Args:
        watched: the generations.
        take: gets each answer's index and delta; returns whether to end the ride.
        look: called when there may be no delta; returns the same.
    """

    def __init__(
        self,
        watched: Watched,
        take: Callable[[int, Delta], bool],
        look: Callable[[], bool] = lambda: False,
    ) -> None:
        self._watched = watched
        self._take = take
        self._look = look
        self._failure: Exception | None = None

    def go(self, pump: Pump) -> None:
        """Wait for the end of the ride; raises what ended it early."""
        pump.carry(self)
        if self._failure is not None:
            raise self._failure

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have a function called on the engine thread after each event."""
        self._watched.generations.listen(listener)

    def advance(self) -> bool:
        """Take all deltas that there are; return whether the ride ended."""
        try:
            while self._watched.generations.has_news:
                item = self._watched.take()
                if item is not None and self._take(*item):
                    return True
        except Exception as exc:  # noqa: BLE001 - raised again on the request's own thread
            self._failure = exc
        return self._failure is not None

    def look(self) -> bool:
        """Look after the client; return whether the ride ended."""
        try:
            self._watched.look()
            return self._look()
        except Exception as exc:  # noqa: BLE001 - same
            self._failure = exc
            return True


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
            # Only this thread may wait for a client that reads slowly.
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
