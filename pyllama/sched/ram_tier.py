"""The RAM tier of the prefix cache: which prefixes are kept outside of the KV cells.

Policy only: tokens, sizes and ages. The bytes are the runner's, under the entry's id; each change
here comes back as the operations that repeat it there, which the slot pool queues.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyllama.sched.limits import STEP_S
from pyllama.sched.plan import DropState, LoadState, SaveState
from pyllama.sched.prefix import lcp
from pyllama.sched.rewinding import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyllama.sched.plan import CellOp, StateMove

# Fewer lost tokens than this are computed again in a moment.
MIN_SAVE = 64
# Moving state may add this share of the target step time to a step.
_STEP_SHARE = 0.25
# Weight of the newest measurement in the moving averages.
_ALPHA = 0.3
# A load costs at least as much as computing this many tokens, as a copy does.
_LOAD_COST = 32


@dataclass(slots=True, eq=False)
class Entry:
    """One saved sequence state. llama.cpp moves a state as a whole, so this is the unit."""

    id: int
    tokens: list[int]
    n_bytes: int
    """Counted once it is saved; estimated before."""


class RamTier:
    """Decides what is saved, found and dropped. An entry stays when it is used.

    Args:
        max_bytes: what the entries may take together; None is no limit, 0 switches it off.
        can_trim: whether a part of an entry is of use.
        step_s: target duration of a step, seconds.
    """

    def __init__(
        self, max_bytes: int | None = 0, *, can_trim: bool, step_s: float = STEP_S
    ) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self.n_hits = 0
        """Loads that went well."""
        self.n_tokens_restored = 0
        """Tokens of the prefixes that they brought back."""
        self._can_trim = can_trim
        self._step_s = step_s * _STEP_SHARE
        # In the order of use, the stalest first.
        self._entries: dict[int, Entry] = {}
        self._ids = itertools.count()
        self._bytes_per_token = 0.0
        self._seconds_per_token: dict[type[SaveState | LoadState], float] = {}
        self._moved_s = 0.0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is held, the stalest first."""
        return tuple(self._entries.values())

    # ---- one step's moves -----------------------------------------------------------------------

    def begin_step(self) -> None:
        """Let the next step move state again."""
        self._moved_s = 0.0

    @property
    def is_spent(self) -> bool:
        """Whether this step moves all that it may: at least one entry, more if they are quick."""
        return self._moved_s >= self._step_s

    # ---- saving ---------------------------------------------------------------------------------

    def wants(self, tokens: list[int], n_keep: int, others: Iterable[list[int]]) -> bool:
        """Tell whether tokens that are about to be lost are worth an entry.

        Args:
            tokens: what a slot holds.
            n_keep: tokens of it that stay there.
            others: what the other slots hold.
        """
        n_served = max((self._n_served(other, tokens) for other in others), default=0)
        if self.max_bytes == 0 or len(tokens) - max(n_keep, n_served) < MIN_SAVE:
            return False
        return self.max_bytes is None or self._estimate(tokens) <= self.max_bytes

    def save(self, seq_id: int, tokens: list[int], keep: Entry | None) -> list[CellOp]:
        """Enter the state of a slot; its cells are what the memory holds at this operation.

        Args:
            seq_id: the slot.
            tokens: what it holds, which :meth:`wants` to be kept.
            keep: an entry that must not be dropped for it.
        """
        for entry in self.entries:
            if len(tokens) - self._n_served(entry.tokens, tokens) < MIN_SAVE:
                self._use(entry)
                return []
        if self.is_spent:
            return []
        operations = [
            self._drop(entry)
            for entry in self.entries
            if entry is not keep and self._n_served(tokens, entry.tokens) == len(entry.tokens)
        ]
        n_bytes = self._estimate(tokens)
        operations += self._make_room(n_bytes, keep)
        if self._is_over(n_bytes):
            return operations
        entry = Entry(next(self._ids), tokens.copy(), n_bytes)
        self._entries[entry.id] = entry
        self.n_bytes += n_bytes
        self._spend(SaveState, entry)
        return [*operations, SaveState(seq_id, entry.id)]

    # ---- loading --------------------------------------------------------------------------------

    def find(self, tokens: list[int]) -> tuple[Entry | None, int]:
        """Return the entry with the longest usable prefix, and its length; in ties the shortest.

        The last token is never part of it: its logits are wanted, so it is computed.
        """
        best: Entry | None = None
        n_best = 0
        for entry in self._entries.values():
            n_shared = self._n_served(entry.tokens, tokens[:-1])
            is_shorter = best is not None and len(entry.tokens) < len(best.tokens)
            if n_shared > n_best or (n_shared == n_best and is_shorter):
                best, n_best = entry, n_shared
        return best, n_best

    def load_cost(self, entry: Entry, token_s: float | None) -> float:
        """Return what loading an entry costs, in prompt tokens.

        Args:
            entry: the entry.
            token_s: what computing a prompt token costs, seconds; None if it is unknown.
        """
        seconds = self._pace(LoadState) * len(entry.tokens)
        return _LOAD_COST + (seconds / token_s if token_s else 0.0)

    def load(self, entry: Entry, seq_id: int, n_tokens: int) -> LoadState:
        """Give a slot the beginning of an entry."""
        self._use(entry)
        self._spend(LoadState, entry)
        return LoadState(seq_id, entry.id, n_tokens)

    # ---- what came of it ------------------------------------------------------------------------

    def settle(self, moves: Iterable[StateMove]) -> list[CellOp]:
        """Take in how moves ended: sizes, speeds, and what failed."""
        operations: list[CellOp] = []
        for move in moves:
            operation = move.operation
            entry = self._entries.get(operation.entry_id)
            if move.has_failed:
                operations += [self._drop(entry)] if entry is not None else []
                continue
            if isinstance(operation, LoadState):
                self.n_hits += 1
                self.n_tokens_restored += operation.n_tokens
            if entry is not None:
                self._learn(entry, move)
        return operations + self._make_room(0, None)

    def drop(self, entry_ids: Iterable[int]) -> list[CellOp]:
        """Forget entries whose state is not valid any more."""
        return [self._drop(self._entries[i]) for i in entry_ids if i in self._entries]

    def clear(self) -> list[CellOp]:
        """Forget every entry."""
        return self.drop(list(self._entries))

    # ---- helpers --------------------------------------------------------------------------------

    def _n_served(self, held: list[int], tokens: list[int]) -> int:
        """Return how many leading tokens of a prompt come from what is held."""
        return trimmed(len(held), lcp(held, tokens), can_trim=self._can_trim).n_tokens

    def _estimate(self, tokens: list[int]) -> int:
        return int(len(tokens) * self._bytes_per_token)

    def _is_over(self, n_more: int) -> bool:
        return self.max_bytes is not None and self.n_bytes + n_more > self.max_bytes

    def _make_room(self, n_more: int, keep: Entry | None) -> list[CellOp]:
        """Drop entries, stalest first, until so many bytes more are within the limit."""
        operations: list[CellOp] = []
        for entry in self.entries:
            if not self._is_over(n_more):
                break
            if entry is not keep:
                operations.append(self._drop(entry))
        return operations

    def _drop(self, entry: Entry) -> CellOp:
        del self._entries[entry.id]
        self.n_bytes -= entry.n_bytes
        return DropState(entry.id)

    def _use(self, entry: Entry) -> None:
        self._entries[entry.id] = self._entries.pop(entry.id)

    def _pace(self, kind: type[SaveState | LoadState]) -> float:
        """Return seconds per token of a kind of move; before the first one those of the other."""
        known = self._seconds_per_token
        return known.get(kind, next(iter(known.values()), 0.0))

    def _spend(self, kind: type[SaveState | LoadState], entry: Entry) -> None:
        # Nothing is known before the first move: it may take the whole step.
        seconds = self._pace(kind) * len(entry.tokens)
        self._moved_s += seconds if self._seconds_per_token else self._step_s

    def _learn(self, entry: Entry, move: StateMove) -> None:
        kind = type(move.operation)
        pace = move.duration_s / len(entry.tokens)
        known = self._seconds_per_token.get(kind, pace)
        self._seconds_per_token[kind] = known + _ALPHA * (pace - known)
        self.n_bytes += move.n_bytes - entry.n_bytes
        entry.n_bytes = move.n_bytes
        self._bytes_per_token = move.n_bytes / len(entry.tokens)
