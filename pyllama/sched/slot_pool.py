"""Which slot a sequence gets: the one that remembers most of its prompt, else the stalest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.prefix import lcp
from pyllama.sched.slot import Slot

if TYPE_CHECKING:
    from pyllama.sched.limits import Limits
    from pyllama.sched.sequence import Sequence

# A shorter match than this share of the prompt is chance (a BOS token, a role header) and not
# worth the cells of another conversation.
MIN_SIMILARITY = 0.1


class SlotPool:
    """Owner of the slots."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.slots = tuple(Slot(slot_id) for slot_id in range(limits.n_slots))

    @property
    def n_cells_used(self) -> int:
        """KV cells that hold tokens, in running and in idle slots."""
        return sum(len(slot.tokens) for slot in self.slots)

    def idle(self) -> list[Slot]:
        """Return the slots without a sequence, in id order."""
        return [slot for slot in self.slots if slot.is_idle]

    def choose(self, sequence: Sequence) -> tuple[Slot, int] | None:
        """Return an idle slot for a sequence and how many of its tokens can be reused there.

        Returns None where every slot is busy. Changes nothing.
        """
        idle = self.idle()
        if not idle:
            return None
        if sequence.request.cache_prompt:
            # In ties the slot that loses least, then the lowest id: running ids stay contiguous.
            n_keep, _, _, best = max(
                (self._n_reusable(slot, sequence), -len(slot.tokens), -slot.id, slot)
                for slot in idle
            )
            if n_keep > MIN_SIMILARITY * len(sequence.tokens):
                return best, n_keep
        return min(idle, key=lambda slot: (slot.last_used_s, slot.id)), 0

    def bind(self, slot: Slot, sequence: Sequence, n_keep: int) -> int:
        """Give a slot to a sequence, keeping its first ``n_keep`` cells.

        Returns:
            The number of cells that the slot loses.
        """
        n_lost = len(slot.tokens) - n_keep
        del slot.tokens[n_keep:]
        slot.sequence = sequence
        sequence.slot = slot
        sequence.n_past = n_keep
        return n_lost

    def release(self, slot: Slot, now_s: float) -> None:
        """Take a slot back; its cells stay for the next prompt that begins alike."""
        if slot.sequence is not None:
            slot.sequence.slot = None
        slot.sequence = None
        slot.last_used_s = now_s

    def _n_reusable(self, slot: Slot, sequence: Sequence) -> int:
        """Return how many leading tokens of the sequence the slot's cells can stand for."""
        shared = lcp(slot.tokens, sequence.tokens)
        # The last token is always computed: its logits are what is wanted.
        shared = min(shared, len(sequence.tokens) - 1)
        if not self._limits.can_trim and shared < len(slot.tokens):
            return 0
        return shared
