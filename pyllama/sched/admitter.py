"""Who of those that wait gets a slot now."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pyllama.sched.sequence import Status, slot_of

if TYPE_CHECKING:
    from pyllama.sched.lifecycle import Lifecycle
    from pyllama.sched.limits import Limits
    from pyllama.sched.placement import Placement, Placer
    from pyllama.sched.sequence import Sequence
    from pyllama.sched.slot_pool import SlotPool


class Admitter:
    """Gives free slots to waiting sequences, first come first served.

    Args:
        limits: what the context can hold.
        pool: the slots.
        placer: says which slot, and whose cells.
        lifecycle: who waits and who runs.
    """

    def __init__(
        self, limits: Limits, pool: SlotPool, placer: Placer, lifecycle: Lifecycle
    ) -> None:
        self._limits = limits
        self._pool = pool
        self._placer = placer
        self._lifecycle = lifecycle

    def admit(self, now_s: float) -> None:
        """Let those run that fit.

        One that waits for another's prefix keeps its claim on a slot, so that nobody behind it
        takes the last one.
        """
        lifecycle = self._lifecycle
        n_claims = self._limits.n_slots - len(lifecycle.running)
        for sequence in list(itertools.islice(lifecycle.waiting, n_claims)):
            if self._awaits_prefix(sequence):
                continue
            placement = self._placer.place(sequence)
            if placement is None or not self._fits(sequence, placement):
                return
            if not self._pool.prepare(placement):
                return
            lifecycle.admit(sequence, placement, now_s)

    def _awaits_prefix(self, sequence: Sequence) -> bool:
        """Tell whether a running sequence will soon have computed a prefix of this one."""
        if sequence.awaits is not None:
            donor, n_shared = sequence.awaits
            if donor.status is Status.RUNNING and donor.n_past < n_shared:
                return True
        sequence.awaits = self._placer.find_donor(sequence, self._lifecycle.running)
        return sequence.awaits is not None

    def _fits(self, sequence: Sequence, placement: Placement) -> bool:
        """Tell whether a sequence and its next token fit beside those that run."""
        running = self._lifecycle.running
        slots = [slot_of(other) for other in running]
        n_taken = self._pool.n_held(slots) + sum(other.n_pending for other in running)
        n_needed = len(sequence.tokens) + 1
        if self._limits.is_unified and placement.donor in slots:
            n_needed -= placement.n_keep
        return n_taken + n_needed <= self._limits.n_cells
