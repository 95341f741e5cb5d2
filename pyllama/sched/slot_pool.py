"""The slots, the cells that they hold, and the memory operations that make both true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.cells import CellLedger
from pyllama.sched.plan import CopyCells, LoadState, RemoveCells, SaveState
from pyllama.sched.ram_tier import RamTier
from pyllama.sched.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as TokenSequence

    from pyllama.sched.limits import Limits
    from pyllama.sched.placement import Placement
    from pyllama.sched.plan import BatchPlan, CellOp, StateMove
    from pyllama.sched.ram_tier import Entry
    from pyllama.sched.sequence import Sequence


class SlotPool:
    """Owner of the slots. Each change here queues the operation that repeats it in the memory."""

    def __init__(self, limits: Limits, tier: RamTier | None = None) -> None:
        self.tier = tier or RamTier(can_trim=limits.can_trim)
        self._ledger = CellLedger(limits.n_cells, is_unified=limits.is_unified)
        self.slots = tuple(
            Slot(slot_id, self._ledger.cells(), can_trim=limits.can_trim)
            for slot_id in range(limits.n_seq_ids)
        )
        self._operations: list[CellOp] = []

    @property
    def n_cells_free(self) -> int:
        """KV cells that hold nothing."""
        return self._ledger.n_free

    @property
    def has_operations(self) -> bool:
        """Whether the memory has something to do."""
        return bool(self._operations)

    def idle(self) -> list[Slot]:
        """Return the slots without a sequence, in id order."""
        return [slot for slot in self.slots if slot.is_idle]

    def n_held(self, slots: Iterable[Slot]) -> int:
        """Return how many different cells these slots hold together."""
        runs = {id(run): run.length for slot in slots for run in slot.cells.runs}
        return sum(runs.values())

    def take_operations(self) -> tuple[CellOp, ...]:
        """Return what the memory has to do, in order; the caller sees to it."""
        operations, self._operations = self._operations, []
        return tuple(operations)

    def prepare(self, placement: Placement) -> bool:
        """Make room for the entry of a placement.

        Returns:
            Whether it can be bound now; else the moves of this step are used up, and the next
            step goes on from here.
        """
        slot, entry = placement.slot, placement.entry
        if self.tier.is_spent and (entry is not None or self._is_wanted(slot, placement.n_keep)):
            return False
        if entry is None:
            return True
        self.discard(slot, 0, entry)
        self.evict(len(entry.tokens), keep=entry)
        return self.n_cells_free >= len(entry.tokens)

    def bind(self, sequence: Sequence, placement: Placement) -> None:
        """Give a slot to a sequence, with the cells of a prefix."""
        slot, donor = placement.slot, placement.donor
        if placement.entry is not None:
            self._load(placement.entry, slot, placement.n_keep)
        elif donor is None:
            self.discard(slot, placement.n_keep)
        else:
            self._copy(donor, slot, placement.n_keep)
        slot.sequence = sequence
        sequence.slot = slot
        sequence.n_past = placement.n_keep

    def release(self, slot: Slot, now_s: float) -> None:
        """Take a slot back; its cells stay for the next prompt that begins alike."""
        if slot.sequence is not None:
            slot.sequence.slot = None
        slot.sequence = None
        slot.last_used_s = now_s

    def extend(self, slot: Slot, tokens: TokenSequence[int]) -> None:
        """Enter tokens that a batch has computed."""
        slot.tokens.extend(tokens)
        slot.cells.extend(len(tokens))

    def truncate(self, slot: Slot, n_keep: int) -> None:
        """Forget the cells from position ``n_keep`` on."""
        if len(slot.tokens) > n_keep:
            del slot.tokens[n_keep:]
            slot.cells.truncate(n_keep)
            self._operations.append(RemoveCells(slot.id, n_keep))

    def discard(self, slot: Slot, n_keep: int, keep: Entry | None = None) -> None:
        """Forget cells that hold what they should, saving first what is worth it.

        Args:
            slot: an idle slot.
            n_keep: position of the first cell that goes.
            keep: an entry of the tier that must not be dropped for it.
        """
        if self._is_wanted(slot, n_keep):
            self._operations += self.tier.save(slot.id, slot.tokens, keep)
        self.truncate(slot, n_keep)

    def restore(self, slot: Slot) -> None:
        """Make the memory forget whatever it holds beyond the ledger."""
        self._operations.append(RemoveCells(slot.id, len(slot.tokens)))

    def forget(self, slot: Slot) -> None:
        """Forget every cell of a slot, also those that the ledger does not know of."""
        slot.tokens.clear()
        slot.cells.truncate(0)
        self.restore(slot)

    def forget_all(self) -> None:
        """Forget every cell of every idle slot, and every saved state."""
        for slot in self.idle():
            self.forget(slot)
        self._operations += self.tier.clear()

    def evict(self, n_free: int, n_needed: int = 0, keep: Entry | None = None) -> None:
        """Forget idle slots, stalest first, until cells are free.

        Args:
            n_free: cells that are wanted.
            n_needed: cells that are wanted even where the tier can save no more in this step.
            keep: an entry of the tier that must not be dropped for it.
        """
        if self.n_cells_free >= n_free:
            # Nearly always, and every step asks.
            return
        for slot in sorted(self.idle(), key=lambda slot: slot.last_used_s):
            if self.n_cells_free >= (n_needed if self.tier.is_spent else n_free):
                return
            self.discard(slot, 0, keep)

    def settle(self, moves: Iterable[StateMove]) -> None:
        """Take in how saves and loads ended."""
        self._operations += self.tier.settle(moves)

    def invalidate_saves(self, plan: BatchPlan) -> None:
        """Forget the entries that a plan saved: nobody knows what became of them."""
        saved = [op.entry_id for op in plan.operations if isinstance(op, SaveState)]
        self._operations += self.tier.drop(saved)

    def invalidate_loads(self, plan: BatchPlan) -> None:
        """Forget what may rest on a load that failed; the sequences there begin afresh.

        Any copy or save of the same plan may have been made from it.
        """
        self.invalidate_saves(plan)
        for operation in plan.operations:
            if isinstance(operation, LoadState):
                slot = self.slots[operation.seq_id]
            elif isinstance(operation, CopyCells):
                slot = self.slots[operation.target]
            else:
                continue
            self.forget(slot)
            if slot.sequence is not None:
                slot.sequence.n_past = 0

    def _is_wanted(self, slot: Slot, n_keep: int) -> bool:
        others = (other.tokens for other in self.slots if other is not slot)
        return self.tier.wants(slot.tokens, n_keep, others)

    def _load(self, entry: Entry, slot: Slot, count: int) -> None:
        self.discard(slot, 0, entry)
        slot.tokens = entry.tokens[:count]
        slot.cells.extend(count)
        self._operations.append(self.tier.load(entry, slot.id, count))

    def _copy(self, source: Slot, target: Slot, count: int) -> None:
        self.discard(target, 0)
        target.tokens = source.tokens[:count]
        self._ledger.copy(source.cells, target.cells, count)
        self._operations.append(CopyCells(source.id, target.id, count))
