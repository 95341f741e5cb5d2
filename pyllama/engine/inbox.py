"""What other threads ask of the engine."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pyllama.engine.job import Job


@dataclass(frozen=True, slots=True)
class Start:
    """Compute a job that was accepted."""

    job: Job


@dataclass(frozen=True, slots=True)
class Abort:
    """End a job that nobody waits for."""

    job: Job


@dataclass(frozen=True, slots=True)
class AbortAll:
    """End every job: the time to finish is over."""


@dataclass(frozen=True, slots=True)
class Check:
    """Compare the ledger of KV cells with the memory."""

    answer: queue.SimpleQueue[Exception | None]
    """Where to say what is wrong."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the engine."""


Message: TypeAlias = "Start | Abort | AbortAll | Check | Stop"


class Inbox:
    """Messages in the order of their arrival: any thread writes, the engine's reads."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many messages are unread."""
        return self._messages.qsize()

    def put(self, message: Message) -> None:
        """Leave a message. One that comes after the end is dropped, and holds nothing."""
        if not self._is_closed:
            self._messages.put(message)

    def get(self, *, must_wait: bool) -> Message | None:
        """Return the next message; None where there is none and nobody wants to wait for it."""
        try:
            return self._messages.get(block=must_wait)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Take no messages from now on; those that are there can still be read."""
        self._is_closed = True
