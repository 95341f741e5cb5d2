"""Who is in the engine, and whether anybody else may come."""

from __future__ import annotations

import enum
import threading
from typing import TYPE_CHECKING

from pyllama.errors import Draining, EngineError, ModelClosed, QueueFull
from pyllama.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.engine.job import Job


class EngineState(enum.Enum):
    """What the engine takes."""

    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


class Admission:
    """The accepted requests, in the order of their acceptance; any thread may use it.

    Args:
        max_accepted: requests that can be accepted at the same time.
    """

    def __init__(self, max_accepted: int) -> None:
        self.max_accepted = max_accepted
        self.process = Process()
        """Where the engine's thread is."""
        self.state = EngineState.READY
        self._lock = threading.Lock()
        self._accepted: dict[Job, None] = {}
        self._was_closed = False
        self._idle = threading.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Return how many requests are accepted and not over."""
        return len(self._accepted)

    def accepted(self) -> list[Job]:
        """Return the requests that are accepted and not over."""
        with self._lock:
            return list(self._accepted)

    def admit(self, job: Job, announce: Callable[[], None]) -> None:
        """Accept a request, and tell the engine of it.

        Args:
            job: the request's place.
            announce: puts it into the inbox. Within the lock: once the state is DEAD nobody reads
                what comes later.

        Raises:
            QueueFull: there are as many as there can be.
            Draining: the engine is being closed.
            ModelClosed: it was closed.
            EngineError: its thread died.
            Forked: it is in another process.
        """
        # First of all: a fork may have found the lock taken, and nobody gives it back here.
        self.process.check()
        with self._lock:
            self._check()
            if self.state is EngineState.DRAINING:
                raise Draining("no new requests are taken: the model is being closed")
            if len(self._accepted) >= self.max_accepted:
                raise QueueFull(f"all slots are busy and {self.max_accepted} requests are accepted")
            self._accepted[job] = None
            self._idle.clear()
            announce()

    def check(self) -> None:
        """Raise as :meth:`admit` where nobody computes."""
        self.ask(lambda: None)

    def ask(self, announce: Callable[[], None]) -> None:
        """Tell a living engine something; raises as :meth:`admit` where there is none."""
        self.process.check()
        with self._lock:
            self._check()
            announce()

    def release(self, job: Job) -> None:
        """Give up a request's place."""
        with self._lock:
            del self._accepted[job]
            if not self._accepted:
                self._idle.set()

    def drain(self) -> None:
        """Take no new requests."""
        with self._lock:
            if self.state is EngineState.READY:
                self.state = EngineState.DRAINING

    def wait(self, timeout_s: float) -> bool:
        """Wait until every request is over; return whether that is so."""
        return self._idle.wait(timeout_s)

    def end(self, *, was_closed: bool, last: Callable[[], None]) -> None:
        """Take nothing any more.

        Args:
            was_closed: whether somebody wanted it so.
            last: called within the lock, after which nobody announces anything.
        """
        with self._lock:
            self.state = EngineState.DEAD
            self._was_closed = was_closed
            last()

    def _check(self) -> None:
        if self.state is EngineState.DEAD:
            if self._was_closed:
                raise ModelClosed("the model was closed")
            raise EngineError("the engine has failed; see the log")
