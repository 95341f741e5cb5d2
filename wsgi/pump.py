"""One thread that serves the answers of all requests, as the engine's steps bring them.

Every request has a thread of its own. Were each of these woken for each of its tokens, they would
meet at the GIL at the end of every step, and every one of them would take a core from the threads
that compute the next. So they sleep through their answers, and one thread does their work.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# How often the riders look after themselves.
_LOOK_S = 0.1


class Rider(Protocol):
    """A request whose answer the pump serves. Neither method may block or raise."""

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have a function called, by any thread, whenever something arrived; ``None`` ends it."""

    def advance(self) -> bool:
        """Take in all that arrived; return whether the request's own thread has to go on."""

    def look(self) -> bool:
        """Do what is due without news; return whether the request's own thread has to go on."""


class Pump:
    """Advances riders on one thread, which begins with the first of them."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Rider] = queue.SimpleQueue()
        self._riders: dict[Rider, threading.Lock] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked_s = 0.0

    def carry(self, rider: Rider) -> None:
        """Advance a rider until its own thread has to go on; called by that, which waits."""
        self._begin()
        is_done = threading.Lock()
        is_done.acquire()
        self._riders[rider] = is_done
        rider.listen(lambda: self._calls.put(rider))
        # For what arrived before anybody listened.
        self._calls.put(rider)
        is_done.acquire()

    def _begin(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="pyllama-pump", daemon=True
                    )
                    self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                rider = self._calls.get(timeout=_LOOK_S if self._riders else None)
            except queue.Empty:
                pass
            else:
                # One that was let go may have been called once more.
                if rider in self._riders and rider.advance():
                    self._let_go(rider)
                # It may have ended: then nothing keeps it until the next call.
                del rider
            self._look()

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            for rider in list(self._riders):
                if rider.look():
                    self._let_go(rider)

    def _let_go(self, rider: Rider) -> None:
        rider.listen(None)
        self._riders.pop(rider).release()
