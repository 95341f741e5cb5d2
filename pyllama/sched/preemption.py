"""Who gives up cells where there are too few: idle slots first, then the youngest sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.sched.lifecycle import Lifecycle
    from pyllama.sched.plan import Chunk
    from pyllama.sched.sequence import Sequence
    from pyllama.sched.slot_pool import SlotPool


class Preemption:
    """Frees cells for those that run.

    Args:
        pool: the slots.
        lifecycle: who runs.
    """

    def __init__(self, pool: SlotPool, lifecycle: Lifecycle) -> None:
        self._pool = pool
        self._lifecycle = lifecycle

    def free_for_text(self) -> list[Sequence]:
        """Free cells for what is pending, and in any case one for each sequence that decodes.

        Returns:
            The sequences that still decode.
        """
        pool, running = self._pool, self._lifecycle.running
        decoding = [sequence for sequence in running if sequence.is_decoding]
        n_pending = len(decoding)
        if n_pending < len(running):
            n_pending = sum(sequence.n_pending for sequence in running)
        pool.evict(n_pending, n_needed=len(running))
        while len(decoding) > pool.n_cells_free:
            # Only a unified pool gets here: the youngest gives its cells to the others.
            self._lifecycle.preempt(running[-1])
            decoding = [sequence for sequence in running if sequence.is_decoding]
        return decoding

    def free_for_media(self, media: Chunk) -> bool:
        """Free the cells of a piece of media, which takes them all at once; whether it still runs.

        Those that it was admitted with may have gone to sequences that grew since: then the
        youngest gives up its own.
        """
        self._pool.evict(media.count, n_needed=media.count)
        while media.count > self._pool.n_cells_free:
            youngest = self._lifecycle.running[-1]
            self._lifecycle.preempt(youngest)
            if youngest is media.sequence:
                return False
        return True

    def free_after_refusal(self, now_s: float) -> None:
        """Free cells after llama.cpp found none. A sequence that is alone ends as it is."""
        running = self._lifecycle.running
        idle = [slot for slot in self._pool.idle() if slot.tokens]
        if idle:
            self._pool.discard(min(idle, key=lambda slot: slot.last_used_s), 0)
        elif len(running) > 1:
            self._lifecycle.preempt(running[-1])
        else:
            for sequence in list(running):
                self._lifecycle.finish(sequence, "length", now_s)
