"""The sequences that wait for a slot, first come first served."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pyllama.sched.sequence import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyllama.sched.sequence import Sequence


class WaitingQueue:
    """First come, first served; a preempted sequence goes back to the front."""

    def __init__(self) -> None:
        self._sequences: deque[Sequence] = deque()

    def append(self, sequence: Sequence) -> None:
        """Add a sequence at the end."""
        sequence.status = Status.WAITING
        self._sequences.append(sequence)

    def push_front(self, sequence: Sequence) -> None:
        """Add a preempted sequence at the front: it has waited once already."""
        sequence.status = Status.WAITING
        self._sequences.appendleft(sequence)

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out wherever it stands; tell whether it was there."""
        try:
            self._sequences.remove(sequence)
        except ValueError:
            return False
        return True

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._sequences)

    def __iter__(self) -> Iterator[Sequence]:
        """Iterate in order of service."""
        return iter(self._sequences)
