"""Which slot a sequence gets, and how much of it is reused."""

from __future__ import annotations

from collections.abc import Sequence as TokenSequence

import pytest

from pyllama.sched import Limits, Sequence
from pyllama.sched.slot import Slot
from pyllama.sched.slot_pool import SlotPool
from tests.support import builders


def make_pool(*contents: TokenSequence[int], limits: Limits | None = None) -> SlotPool:
    """Return slots that hold these tokens, the first one used longest ago."""
    pool = SlotPool(limits or builders.limits(n_slots=len(contents)))
    for slot, tokens in zip(pool.slots, contents, strict=True):
        slot.tokens = list(tokens)
        slot.last_used_s = float(slot.id)
    return pool


def choose(pool: SlotPool, *tokens: int, cache_prompt: bool = True) -> tuple[int, int] | None:
    choice = pool.choose(Sequence(builders.request(tokens, cache_prompt=cache_prompt)))
    return choice and (choice[0].id, choice[1])


def test_the_longest_prefix_wins() -> None:
    """A slot that remembers more of the prompt wins over one that is older or emptier."""
    pool = make_pool([], [1, 2], [1, 2, 3, 9], [1])
    assert choose(pool, 1, 2, 3, 4) == (2, 3)


def test_without_a_match_the_stalest_goes() -> None:
    """A prompt that no slot knows goes where the longest unused cache is lost."""
    pool = make_pool([5], [6], [7])
    pool.slots[1].last_used_s = -1.0
    assert choose(pool, 1, 2) == (1, 0)


def test_a_slot_that_was_never_used_is_the_stalest() -> None:
    """No cached conversation is lost while there is an empty slot, the lowest id first."""
    pool = SlotPool(builders.limits(n_slots=3))
    pool.slots[0].last_used_s = 5.0
    assert choose(pool, 1, 2) == (1, 0)


def test_the_tie_goes_to_the_slot_that_loses_least() -> None:
    """Of two slots with the same prefix the one with fewer other cells is taken."""
    assert choose(make_pool([1, 2, 8, 9], [1, 2, 8]), 1, 2, 3) == (1, 2)
    assert choose(make_pool([1, 2, 8], [1, 2, 9]), 1, 2, 3) == (0, 2)


def test_a_chance_match_costs_nobody_their_cache() -> None:
    """A shared tenth of the prompt or less counts as no match: the stalest slot goes."""
    prompt = [1, *range(100, 109)]
    pool = make_pool([5], [1, 6, 7])
    assert choose(pool, *prompt) == (0, 0)
    assert choose(pool, *prompt[:9]) == (1, 1)


def test_the_last_token_is_always_computed() -> None:
    """A prompt that a slot holds wholly keeps all but its last token: its logits are wanted."""
    assert choose(make_pool([1, 2, 3, 4, 5]), 1, 2, 3) == (0, 2)


def test_reuse_can_be_refused() -> None:
    """With ``cache_prompt`` off nothing is reused, and the stalest slot goes."""
    assert choose(make_pool([9], [1, 2, 3]), 1, 2, 3, cache_prompt=False) == (0, 0)


@pytest.mark.parametrize(
    ("cells", "n_reused"), [([1, 2], 2), ([1, 2, 9], 0), ([1, 2, 3], 0), ([1, 2, 3, 4], 0)]
)
def test_state_that_cannot_be_trimmed_is_reused_whole(cells: list[int], n_reused: int) -> None:
    """Recurrent state is of use only where the prompt goes on from all of it."""
    pool = make_pool(cells, limits=builders.limits(n_slots=1, can_trim=False))
    assert choose(pool, 1, 2, 3) == (0, n_reused)


def test_busy_slots_are_not_given_away() -> None:
    """With every slot bound there is no choice, whatever they hold."""
    pool = make_pool([1, 2, 3])
    sequence = Sequence(builders.request([1, 2]))
    assert pool.bind(pool.slots[0], sequence, 1) == 2
    assert (sequence.n_past, pool.slots[0].tokens) == (1, [1])
    assert pool.idle() == []
    assert choose(pool, 1, 2) is None


def test_a_released_slot_keeps_its_cells() -> None:
    """Release frees the slot, stamps it and leaves what it holds; twice is once."""
    pool = make_pool([1, 2, 3])
    sequence = Sequence(builders.request([1, 2]))
    pool.bind(pool.slots[0], sequence, 1)
    pool.release(pool.slots[0], 4.0)
    pool.release(pool.slots[0], 5.0)
    assert pool.slots[0].is_idle
    assert sequence.slot is None
    assert (pool.slots[0].tokens, pool.slots[0].last_used_s) == ([1], 5.0)
    assert pool.n_cells_used == 1


def test_slots_and_sequences_say_what_they_are() -> None:
    """The repr names id, progress and occupant: what a log line about a fault needs."""
    slot = Slot(3)
    slot.tokens = [1, 2]
    assert repr(slot) == "<Slot 3 2 cells idle>"
    slot.sequence = Sequence(builders.request([1, 2, 3]))
    assert "waiting 0/3 tokens, prompt 3" in repr(slot)
