"""Pictures and sound among a prompt's tokens, and whose turn it is to be computed.

A piece of media is a run of tokens like any other: each is the negative number that stands for its
content, so that prefixes are compared, kept and shared as those of text are. It differs in one
thing: it is computed as a whole, in a step of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.sched.plan import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyllama.sched.plan import BatchPlan
    from pyllama.sched.sequence import Sequence


@dataclass(frozen=True, slots=True, eq=False)
class MediaSpan:
    """Tokens ``[start, start + count)`` of a prompt, which stand for a piece of media."""

    start: int
    count: int
    content: Any
    """Opaque here: the runner computes it."""

    @property
    def end(self) -> int:
        """Position after its last token."""
        return self.start + self.count


class MediaTurns:
    """Lets media and text take turns, and the sequences that have media.

    Small pieces share a turn: a step of text between any two would cost more than they do. So a
    running stream waits for one piece of media and ``turn_s`` at most, however many there are.

    Args:
        turn_s: seconds after which media that were computed give way to text.
    """

    def __init__(self, turn_s: float) -> None:
        self._turn_s = turn_s
        # In this turn of media, so far.
        self._spent_s = 0.0
        # Whose media came last.
        self._last: Sequence | None = None

    def fill(self, running: Iterable[Sequence], *, has_text: bool) -> Chunk | None:
        """Return the media that the next step computes; None where it computes text.

        Args:
            running: sequences with a slot, in their order.
            has_text: whether there is text to compute.
        """
        due = [
            sequence
            for sequence in running
            if sequence.request.media and sequence.media_due is not None
        ]
        if not due or (has_text and self._spent_s >= self._turn_s):
            self._spent_s = 0.0
            return None
        later = due[due.index(self._last) + 1 :] if self._last in due else []
        self._last = (later or due)[0]
        return _chunk(self._last)

    def result(self, plan: BatchPlan, duration_s: float) -> None:
        """Take in how long a step took."""
        if plan.media is not None:
            self._spent_s += duration_s

    def leave(self, sequence: Sequence) -> None:
        """Forget a sequence that runs no more."""
        if self._last is sequence:
            self._last = None


def _chunk(sequence: Sequence) -> Chunk:
    span, slot = sequence.media_due, sequence.slot
    if span is None or slot is None:
        raise AssertionError(f"{sequence!r} has no media to be computed")
    return Chunk(sequence, slot.id, span.start, span.count, wants_token=False, media=span.content)
