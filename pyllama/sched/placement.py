"""Which slot a sequence gets, and whose cells it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyllama.sched.prefix import lcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyllama.sched.limits import Limits
    from pyllama.sched.ram_tier import Entry
    from pyllama.sched.rewinding import Rewind
    from pyllama.sched.sequence import Sequence
    from pyllama.sched.slot import Slot
    from pyllama.sched.slot_pool import SlotPool

# A match below this share of the prompt (a BOS token, a role header) is a coincidence and not
# worth the cells of another conversation.
MIN_SIMILARITY = 0.1
# Copying a stream's cells takes about as long as computing this many tokens.
_COPY_COST = 32
# What a cached token is worth that nobody has asked for again, against one that must be computed.
_LOSS_WEIGHT = 0.25
# What a piece of media costs beyond its tokens: it is encoded, and has a step of its own.
_MEDIA_COST = 64
# Where each sequence has a stream of its own, llama.cpp computes neighbouring ones together and the
# others after them, each stretch with a pass over the weights: four that are not adjacent make a
# step twice as long as four side by side. Over an answer that is worth so many prompt tokens.
_GAP_COST = 200
# Tokens that waiting for another prompt must save.
_MIN_WAIT_GAIN = 64


@dataclass(frozen=True, slots=True)
class Placement:
    """A slot for a sequence, and the cells of a prefix that it starts with."""

    slot: Slot
    donor: Slot | None
    """Slot whose cells are copied or shared; None keeps the slot's own."""
    n_keep: int
    """Tokens of the prefix."""
    entry: Entry | None = None
    """Saved state that is loaded instead."""


class Placer:
    """Finds prefixes in idle slots, in running ones and in the RAM tier.

    Args:
        limits: what the context can hold.
        pool: the slots.
        token_s: returns what computing a prompt token costs, seconds; None while it is unknown.
    """

    def __init__(
        self, limits: Limits, pool: SlotPool, token_s: Callable[[], float | None] = lambda: None
    ) -> None:
        self._limits = limits
        self._pool = pool
        self._token_s = token_s
        self._copy_cost = 0 if limits.is_unified else _COPY_COST

    def place(self, sequence: Sequence) -> Placement | None:
        """Return the cheapest placement, or None where every slot is busy. Changes nothing."""
        idle = self._pool.idle()
        if not idle:
            return None
        home = self._home(idle)
        nothing = Placement(home, None, 0)
        if not sequence.request.cache_prompt:
            return nothing
        options = [
            self._own(sequence, idle),
            self._copied(sequence, idle),
            self._loaded(sequence, home),
        ]
        return min(options, key=lambda option: option[0])[1] or nothing

    def find_donor(
        self, sequence: Sequence, running: Iterable[Sequence]
    ) -> tuple[Sequence, int] | None:
        """Return a running sequence that is about to compute a prefix of this one.

        Returns:
            That sequence and how many tokens they share, where waiting for it saves more than
            what memory holds already; else None.
        """
        if not sequence.request.cache_prompt or not self._limits.can_trim:
            return None
        limit = len(sequence.tokens) - 1
        shares = [
            (min(lcp(other.tokens, sequence.tokens), limit), other)
            for other in running
            if other.n_past < other.n_prompt
        ]
        if not shares:
            return None
        n_shared, donor = max(shares, key=lambda share: share[0])
        if _saved(sequence, 0, n_shared) < _MIN_WAIT_GAIN:
            return None
        _, (n_in_slot, _) = self._best(self._pool.slots, sequence)
        _, n_in_tier = self._pool.tier.find(sequence.tokens)
        n_available = max(n_in_slot, n_in_tier)
        is_worth_it = _saved(sequence, n_available, n_shared) >= _MIN_WAIT_GAIN
        return (donor, n_shared) if is_worth_it else None

    def _own(self, sequence: Sequence, idle: list[Slot]) -> tuple[float, Placement | None]:
        slot, (n_keep, rewind_cost) = self._best(idle, sequence)
        if _is_below_threshold(n_keep, sequence):
            return float("inf"), None
        cost = _missing(sequence, n_keep) + rewind_cost + self._price(slot, n_keep)
        return cost, Placement(slot, None, n_keep)

    def _copied(self, sequence: Sequence, idle: list[Slot]) -> tuple[float, Placement | None]:
        donor, (n_keep, rewind_cost) = self._best(self._pool.slots, sequence)
        targets = [slot for slot in idle if slot is not donor]
        if not targets or _is_below_threshold(n_keep, sequence):
            return float("inf"), None
        target = self._home(targets)
        cost = _missing(sequence, n_keep) + rewind_cost + self._copy_cost + self._price(target)
        return cost, Placement(target, donor, n_keep)

    def _loaded(self, sequence: Sequence, target: Slot) -> tuple[float, Placement | None]:
        entry, n_keep = self._pool.tier.find(sequence.tokens)
        if entry is None or _is_below_threshold(n_keep, sequence):
            return float("inf"), None
        load_cost = self._pool.tier.load_cost(entry, self._token_s())
        busy = [slot for slot in self._pool.slots if not slot.is_idle]
        n_room = self._limits.n_cells - self._pool.n_held(busy)
        if load_cost >= n_keep or len(entry.tokens) > n_room:
            return float("inf"), None
        cost = _missing(sequence, n_keep) + load_cost + self._price(target)
        return cost, Placement(target, None, n_keep, entry)

    def _home(self, idle: list[Slot]) -> Slot:
        """Return the stalest slot, or the stalest adjacent to those that run if that costs less."""
        adjacent = [slot for slot in idle if self._is_adjacent(slot)]
        options = [min(slots, key=_staleness) for slots in (adjacent, idle) if slots]
        return min(options, key=self._price)

    def _price(self, slot: Slot, n_keep: int = 0) -> float:
        """Return what it costs to run in a slot that keeps so many of its tokens."""
        n_lost = len(slot.tokens) - n_keep
        return _LOSS_WEIGHT * n_lost + _GAP_COST * (not self._is_adjacent(slot))

    def _is_adjacent(self, slot: Slot) -> bool:
        """Return whether a slot beside this one runs, or none does: it makes no gap then."""
        if self._limits.is_unified:
            return True
        slots = self._pool.slots
        neighbours = slots[max(slot.id - 1, 0) : slot.id + 2]
        if any(not other.is_idle for other in neighbours):
            return True
        return all(other.is_idle for other in slots)

    def _best(self, slots: Iterable[Slot], sequence: Sequence) -> tuple[Slot, Rewind]:
        """Return the slot that saves the most; in ties the shortest, then the lowest id."""
        options = [(slot, self._rewind(slot, sequence)) for slot in slots]
        return max(options, key=_merit)

    def _rewind(self, slot: Slot, sequence: Sequence) -> Rewind:
        """Return how many leading tokens of the sequence the slot's cells can stand for."""
        n_shared = lcp(slot.tokens, sequence.tokens)
        # The last token is always computed: its logits are what is wanted.
        return slot.rewind(min(n_shared, len(sequence.tokens) - 1))


def _merit(option: tuple[Slot, Rewind]) -> tuple[float, int, int]:
    slot, rewind = option
    return rewind.n_tokens - rewind.cost, -len(slot.tokens), -slot.id


def _staleness(slot: Slot) -> tuple[float, int]:
    return slot.last_used_s, slot.id


def _missing(sequence: Sequence, n_keep: int) -> int:
    """Return what it costs to compute a sequence from a position on, in tokens of text."""
    n_media = sum(span.start >= n_keep for span in sequence.request.media)
    return len(sequence.tokens) - n_keep + _MEDIA_COST * n_media


def _saved(sequence: Sequence, n_from: int, n_to: int) -> int:
    """Return what it saves not to compute the tokens between two positions."""
    return _missing(sequence, n_from) - _missing(sequence, n_to)


def _is_below_threshold(n_shared: int, sequence: Sequence) -> bool:
    return n_shared <= MIN_SIMILARITY * len(sequence.tokens)
