"""A slot: one sequence id of the context, with the tokens whose KV cells it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.rewinding import trimmed

if TYPE_CHECKING:
    from pyllama.sched.cells import Cells
    from pyllama.sched.rewinding import Rewind
    from pyllama.sched.sequence import Sequence


class Slot:
    """One sequence id.

    ``tokens`` is this room's ledger of llama.cpp's memory: token ``i`` sits at position ``i`` of
    sequence id ``id``. While a sequence runs here, the list grows with its ``n_past``; afterwards
    it is a cached prefix. The pool alone writes to it.
    """

    __slots__ = ("_can_trim", "cells", "id", "last_used_s", "sequence", "tokens")

    def __init__(self, slot_id: int, cells: Cells, *, can_trim: bool) -> None:
        self._can_trim = can_trim
        self.id = slot_id
        self.cells = cells
        self.tokens: list[int] = []
        self.sequence: Sequence | None = None
        self.last_used_s = float("-inf")

    @property
    def is_idle(self) -> bool:
        """Whether no sequence runs here."""
        return self.sequence is None

    def rewind(self, n_wanted: int) -> Rewind:
        """Return how far back the slot can go so as to hold its first ``n_wanted`` tokens alone."""
        return trimmed(len(self.tokens), n_wanted, can_trim=self._can_trim)

    def __repr__(self) -> str:
        """Return id, cells and what runs."""
        return f"<Slot {self.id} {len(self.tokens)} cells {self.sequence or 'idle'}>"
