"""The generations of one request on behalf of its client, polled or on the pump."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta

    from .client import ClientWatch
    from .pump import Pump
    from .request_log import RequestRecord

# A client that left is noticed within 250 ms; the difference is for the thread to be scheduled.
POLL_S = 0.2
# Between deltas that come faster than this nobody looks: each look gives the GIL away.
_LOOK_S = 0.1


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

    def ends(self) -> Iterator[tuple[int, Delta]]:
        """Yield the last deltas of answers whose end the pump left to this thread.

        Raises what :meth:`take` raises, but ends where another thread closed the generations.
        """
        while self.generations.is_ending:
            try:
                item = self.take()
            except StopIteration:
                return
            if item is not None:
                yield item

    def look(self) -> None:
        """Look after the client.

        Raises:
            ClientGone: it left.
        """
        self._watch.look()

    def collect(self, fold: Callable[[Delta], None] | None = None) -> list[Completion]:
        """Return the whole answers, each delta given to a fold; raises what :meth:`poll` raises."""

        def take(_index: int, delta: Delta) -> bool:
            if fold is not None:
                fold(delta)
            return self.is_whole

        while not self.is_whole:
            if self.pump is not None:
                Ride(self, take).go(self.pump)
                for item in self.ends():
                    take(*item)
            elif (polled := self.poll()) is not None:
                take(*polled)
        return self.generations.completions

    def close(self) -> None:
        """Free the slots, aborting what still runs; idempotent."""
        self.record.note_end(self.generations, is_whole=self.is_whole)
        self.generations.close()


class Ride:
    """A request on the pump, until its own thread has to go on: at the end of an answer, too.

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
                if self._watched.generations.is_ending:
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
