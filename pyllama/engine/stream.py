"""The hand-off of one sequence's events from the engine thread to the one that waits for them."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pyllama.sched import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.errors import PyllamaError


@dataclass(frozen=True, slots=True)
class Failed:
    """The sequence ended without an answer."""

    error: PyllamaError


StreamEvent: TypeAlias = "Event | Failed"


class TokenStream:
    """Events of one sequence, for one consumer.

    The queue has no bound of its own: a sequence emits at most its ``max_tokens``, and the engine
    thread must never wait for a slow client.

    Args:
        ring: called after each event, for a consumer of several streams.
    """

    __slots__ = ("_queue", "_ring", "is_closed")

    def __init__(self, ring: Callable[[], None] | None = None) -> None:
        self._ring = ring
        # None wakes a consumer that waits while another thread closes the stream.
        self._queue: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self.is_closed = False

    def put(self, event: StreamEvent) -> None:
        """Hand over an event; called by the engine thread only."""
        if not self.is_closed:
            self._queue.put(event)
            if self._ring is not None:
                self._ring()

    def get(self, timeout_s: float | None) -> list[StreamEvent]:
        """Wait for events; return all that are there.

        Returns none where the time runs out first, or where the stream is closed meanwhile.
        """
        try:
            events = [self._queue.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        while not self._queue.empty():
            events.append(self._queue.get_nowait())
        return [event for event in events if event is not None]

    def close(self) -> None:
        """Drop what comes from now on, and wake the consumer; any thread may call it."""
        self.is_closed = True
        self._queue.put(None)
        if self._ring is not None:
            self._ring()
