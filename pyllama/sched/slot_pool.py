"""The slots, the cells that they hold, and the memory operations that make both true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.cells import CellLedger
from pyllama.sched.plan import CopyCells, RemoveCells
from pyllama.sched.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as TokenSequence

    from pyllama.sched.limits import Limits
    from pyllama.sched.placement import Placement
    from pyllama.sched.plan import CellOp
    from pyllama.sched.sequence import Sequence


class SlotPool:
    """Owner of the slots. Each change here queues the operation that repeats it in the memory."""

    def __init__(self, limits: Limits) -> None:
        self._ledger = CellLedger(limits.n_cells, is_unified=limits.is_unified)
        self.slots = tuple(Slot(i, self._ledger.cells()) for i in range(limits.n_seq_ids))
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

    def bind(self, sequence: Sequence, placement: Placement) -> None:
        """Give a slot to a sequence, with the cells of a prefix."""
        slot, donor = placement.slot, placement.donor
        if donor is None:
            self.truncate(slot, placement.n_keep)
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

    def restore(self, slot: Slot) -> None:
        """Make the memory forget whatever it holds beyond the ledger."""
        self._operations.append(RemoveCells(slot.id, len(slot.tokens)))

    def forget(self, slot: Slot) -> None:
        """Forget every cell of a slot, also those that the ledger does not know of."""
        slot.tokens.clear()
        slot.cells.truncate(0)
        self.restore(slot)

    def evict(self, n_free: int) -> None:
        """Forget idle slots, stalest first, until that many cells are free."""
        if self.n_cells_free >= n_free:
            return
        for slot in sorted(self.idle(), key=lambda slot: slot.last_used_s):
            self.truncate(slot, 0)
            if self.n_cells_free >= n_free:
                return

    def _copy(self, source: Slot, target: Slot, count: int) -> None:
        self.truncate(target, 0)
        target.tokens = source.tokens[:count]
        self._ledger.copy(source.cells, target.cells, count)
        self._operations.append(CopyCells(source.id, target.id, count))
