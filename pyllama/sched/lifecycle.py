"""Sequences on their way: waiting, running, finished; and what is reported of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pyllama.sched.events import Finished, Started
from pyllama.sched.queue import WaitingQueue
from pyllama.sched.sequence import Sequence, Status, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyllama.results import FinishReason
    from pyllama.sched.events import Event
    from pyllama.sched.placement import Placement
    from pyllama.sched.request import Request
    from pyllama.sched.slot_pool import SlotPool


class Leaver(Protocol):
    """A feature that knows something of sequences that run."""

    def leave(self, sequence: Sequence) -> None:
        """Forget a sequence, which runs no more. It may come back, and may be unknown."""


class Lifecycle:
    """Moves sequences between queue and slots. All that changes who runs goes through here.

    Args:
        pool: the slots.
        leavers: told of each sequence that stops running.
    """

    def __init__(self, pool: SlotPool, leavers: Iterable[Leaver]) -> None:
        self.waiting = WaitingQueue()
        self.running: list[Sequence] = []
        """In the order of their admission: the youngest last."""
        self._pool = pool
        self._leavers = tuple(leavers)
        self._events: list[Event] = []
        # Who got a slot in a plan that is not taken in yet, and when.
        self._admitted: dict[Sequence, float] = {}

    def add(self, request: Request) -> Sequence:
        """Put a request into the waiting queue; return its sequence."""
        sequence = Sequence(request)
        self.waiting.append(sequence)
        return sequence

    def admit(self, sequence: Sequence, placement: Placement, now_s: float) -> None:
        """Let a waiting sequence run in the slot that was found for it."""
        self.waiting.remove(sequence)
        self._pool.bind(sequence, placement)
        sequence.status = Status.RUNNING
        self.running.append(sequence)
        self._admitted[sequence] = now_s

    def preempt(self, sequence: Sequence) -> None:
        """Send a running sequence back to the queue; what the tier lacks is computed again."""
        slot = slot_of(sequence)
        # One that computed nothing has not started either.
        self._admitted.pop(sequence, None)
        self._stop(sequence, slot.last_used_s)
        self._pool.discard(slot, 0)
        sequence.n_past = 0
        self.waiting.push_front(sequence)

    def finish(self, sequence: Sequence, reason: FinishReason, now_s: float) -> None:
        """End a sequence that ends by itself, and report it."""
        self._leave(sequence, now_s)
        self._events.append(Finished(sequence, now_s, reason))

    def drop(self, sequence: Sequence, now_s: float) -> None:
        """End a sequence wherever it stands, and report nothing of it any more; idempotent."""
        if sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
            sequence.status = Status.FINISHED
        elif sequence.status is Status.RUNNING:
            self._leave(sequence, now_s)
        self._admitted.pop(sequence, None)
        self._events = [event for event in self._events if event.sequence is not sequence]

    def report(self, event: Event) -> None:
        """Report what happened to a sequence."""
        self._events.append(event)

    def report_starts(self) -> None:
        """Report who started, now that the cells are there which they start with, or are not."""
        for sequence, now_s in self._admitted.items():
            n_cached = min(sequence.n_past, sequence.n_prompt)
            self._events.append(Started(sequence, now_s, n_cached))
        self._admitted.clear()

    def take_events(self) -> list[Event]:
        """Return what was reported since the last call, in order."""
        events, self._events = self._events, []
        return events

    def _leave(self, sequence: Sequence, now_s: float) -> None:
        self._stop(sequence, now_s)
        sequence.status = Status.FINISHED

    def _stop(self, sequence: Sequence, last_used_s: float) -> None:
        self.running.remove(sequence)
        for leaver in self._leavers:
            leaver.leave(sequence)
        self._pool.release(slot_of(sequence), last_used_s)
