"""Which slot a sequence gets, whose cells it starts from, and for whom it waits."""

from __future__ import annotations

from collections.abc import Sequence as TokenSequence

import pytest

from pyllama.sched import CopyCells, Limits, RemoveCells, Sequence, Status
from pyllama.sched.placement import Placement, Placer
from pyllama.sched.rewinding import Rewind
from pyllama.sched.slot import Slot
from pyllama.sched.slot_pool import SlotPool
from tests.support import builders


class Room:
    """Slots that hold these tokens, the first one used longest ago."""

    def __init__(self, *contents: TokenSequence[int], limits: Limits | None = None) -> None:
        limits = limits or builders.limits(n_slots=len(contents))
        self.pool = SlotPool(limits)
        self.placer = Placer(limits, self.pool)
        for slot, tokens in zip(self.pool.slots, contents, strict=False):
            self.pool.extend(slot, list(tokens))
            slot.last_used_s = float(slot.id)

    def place(self, *tokens: int, cache_prompt: bool = True) -> tuple[int, int | None, int] | None:
        """Return slot id, donor's id and kept tokens of a prompt's placement."""
        sequence = Sequence(builders.request(tokens, cache_prompt=cache_prompt))
        placement = self.placer.place(sequence)
        if placement is None:
            return None
        donor = None if placement.donor is None else placement.donor.id
        return placement.slot.id, donor, placement.n_keep

    def run(self, slot_id: int, *tokens: int) -> Sequence:
        """Let a sequence of these tokens run in a slot, its cells as they are."""
        sequence = Sequence(builders.request(tokens))
        slot = self.pool.slots[slot_id]
        self.pool.bind(sequence, Placement(slot, None, len(slot.tokens)))
        sequence.status = Status.RUNNING
        return sequence


def test_the_longest_prefix_wins() -> None:
    """A slot that remembers more of the prompt wins over one that is older or emptier."""
    room = Room([], [1, 2], [1, 2, 3, 9], [1])
    assert room.place(1, 2, 3, 4) == (2, None, 3)


def test_without_a_match_the_stalest_goes() -> None:
    """A prompt that no slot knows goes where the longest unused cache is lost."""
    room = Room([5], [6], [7])
    room.pool.slots[1].last_used_s = -1.0
    assert room.place(1, 2) == (1, None, 0)


def test_a_slot_that_was_never_used_is_the_stalest() -> None:
    """No cached conversation is lost while there is an empty slot, the lowest id first."""
    room = Room([5], limits=builders.limits(n_slots=3))
    assert room.place(1, 2) == (1, None, 0)


def test_the_tie_goes_to_the_slot_that_loses_least() -> None:
    """Of two slots with the same prefix the one with fewer other cells is taken."""
    assert Room([1, 2, 8, 9], [1, 2, 8]).place(1, 2, 3) == (1, None, 2)
    assert Room([1, 2, 8], [1, 2, 9]).place(1, 2, 3) == (0, None, 2)


def test_a_chance_match_costs_nobody_their_cache() -> None:
    """A shared tenth of the prompt or less counts as no match: the stalest slot goes."""
    prompt = [1, *range(100, 109)]
    room = Room([5], [1, 6, 7])
    assert room.place(*prompt) == (0, None, 0)
    assert room.place(*prompt[:9]) == (1, None, 1)


def test_the_last_token_is_always_computed() -> None:
    """A prompt that a slot holds wholly keeps all but its last token: its logits are wanted."""
    assert Room([1, 2, 3, 4, 5]).place(1, 2, 3) == (0, None, 2)


def test_reuse_can_be_refused() -> None:
    """With ``cache_prompt`` off nothing is reused, and the stalest slot goes."""
    assert Room([9], [1, 2, 3]).place(1, 2, 3, cache_prompt=False) == (0, None, 0)


@pytest.mark.parametrize(
    ("cells", "n_reused"), [([1, 2], 2), ([1, 2, 9], 0), ([1, 2, 3], 0), ([1, 2, 3, 4], 0)]
)
def test_state_that_cannot_be_trimmed_is_reused_whole(cells: list[int], n_reused: int) -> None:
    """Recurrent state is of use only where the prompt goes on from all of it."""
    room = Room(cells, limits=builders.limits(n_slots=1, can_trim=False))
    assert room.place(1, 2, 3) == (0, None, n_reused)


def test_a_long_conversation_is_not_lost_for_a_short_prefix() -> None:
    """Where another slot is free, a shared beginning is copied there and the rest stays cached."""
    system = list(range(100))
    room = Room([*system, *range(1000, 1800)], limits=builders.limits(n_slots=2))
    assert room.place(*system, 7, 8) == (1, 0, 100)


def test_a_conversation_goes_on_where_it_is() -> None:
    """Nothing is copied where the prompt continues all that a slot holds."""
    room = Room(range(500), limits=builders.limits(n_slots=2))
    assert room.place(*range(510)) == (0, None, 500)


def test_a_busy_slot_gives_its_prefix_too() -> None:
    """A prefix that is in use is copied from under the sequence that runs there."""
    room = Room(range(200), limits=builders.limits(n_slots=2))
    room.run(0, *range(300))
    assert room.place(*range(200), 9, 9) == (1, 0, 200)


def test_sequences_lie_side_by_side() -> None:
    """A new prompt goes beside those that run, to the stalest there; streams apart cost a step."""
    room = Room([5], [6], [7], [8], [9])
    room.run(2, 7, 7)
    assert room.place(1, 2) == (1, None, 0)
    room.pool.slots[3].last_used_s = 0.5
    assert room.place(1, 2) == (3, None, 0)
    room.run(3, 8, 8)
    assert room.place(1, 2) == (1, None, 0)


@pytest.mark.parametrize(("n_beside", "slot_id"), [(700, 1), (900, 2)])
def test_a_long_conversation_is_not_lost_for_a_place_beside_others(
    n_beside: int, slot_id: int
) -> None:
    """An empty slot apart is better than the place of a long conversation, which may go on."""
    room = Room([5], range(1000, 1000 + n_beside), limits=builders.limits(n_slots=4))
    assert room.place(1, 2) == (2, None, 0)
    room.run(0, 5, 5)
    assert room.place(1, 2) == (slot_id, None, 0)


def test_a_conversation_moves_beside_others_where_that_costs_little() -> None:
    """It is copied to an empty slot there, and stays where others would lose too much."""
    talk = range(500)
    room = Room([5], [], [], talk)
    room.run(0, 5, 5)
    assert room.place(*talk, 7) == (1, 3, 500)
    room = Room([5], range(1000, 1800), range(2000, 2800), talk)
    room.run(0, 5, 5)
    assert room.place(*talk, 7) == (3, None, 500)


def test_in_a_pool_all_places_are_adjacent() -> None:
    """A unified pool computes all sequences together, wherever they lie."""
    room = Room([5], [6], [7], limits=builders.pool(1000, n_slots=3))
    room.run(2, 7, 7)
    assert room.place(1, 2) == (0, None, 0)


def test_with_every_slot_busy_there_is_no_placement() -> None:
    """With every slot bound there is no choice, whatever they hold."""
    room = Room([1, 2, 3])
    room.run(0, 1, 2, 3, 4)
    assert room.place(1, 2) is None


def test_a_pool_shares_for_nothing() -> None:
    """In a unified pool even a short prefix is shared rather than another's tail lost."""
    room = Room(range(30), limits=builders.pool(1000, n_slots=1, n_seq_ids=4))
    assert room.place(*range(20), 77) == (1, 0, 20)


def test_a_prompt_waits_for_one_that_computes_its_beginning() -> None:
    """Two prompts with a long beginning in common: the second waits until the first has it."""
    room = Room([], [])
    first = room.run(0, *range(300))
    second = Sequence(builders.request([*range(200), 9, 9]))
    assert room.placer.find_donor(second, [first]) == (first, 200)
    room.pool.extend(room.pool.slots[0], range(250))
    assert room.placer.find_donor(second, [first]) is None
    assert room.place(*second.tokens) == (1, 0, 200)


@pytest.mark.parametrize("n_shared", [5, 63])
def test_nobody_waits_for_little(n_shared: int) -> None:
    """A beginning that is computed in a moment is not waited for."""
    room = Room([], [])
    first = room.run(0, *range(300))
    second = Sequence(builders.request([*range(n_shared), *range(9000, 9100)]))
    assert room.placer.find_donor(second, [first]) is None


def test_nobody_waits_who_refuses_the_cache() -> None:
    """With ``cache_prompt`` off, or state that cannot be cut, there is nothing to wait for."""
    untrimmable = Room([], [], limits=builders.limits(can_trim=False))
    for room, cache_prompt in ((Room([], []), False), (untrimmable, True)):
        first = room.run(0, *range(300))
        request = builders.request(range(200), cache_prompt=cache_prompt)
        assert room.placer.find_donor(Sequence(request), [first]) is None


def test_binding_a_copy_empties_the_slot_first() -> None:
    """What the slot held goes, then the prefix of the donor comes, in the memory as here."""
    room = Room(range(100), [5, 6])
    sequence = Sequence(builders.request([*range(80), 9]))
    donor, slot = room.pool.slots
    room.pool.bind(sequence, Placement(slot, donor, 80))
    assert slot.tokens == list(range(80))
    assert (sequence.slot, sequence.n_past) == (slot, 80)
    assert room.pool.take_operations() == (RemoveCells(1, 0), CopyCells(0, 1, 80))


def test_a_released_slot_keeps_its_cells() -> None:
    """Release frees the slot, stamps it and leaves what it holds; twice is once."""
    room = Room([1, 2, 3])
    sequence = room.run(0, 1, 2, 3, 4)
    (slot,) = room.pool.slots
    room.pool.release(slot, 4.0)
    room.pool.release(slot, 5.0)
    assert slot.is_idle
    assert sequence.slot is None
    assert (slot.tokens, slot.last_used_s) == ([1, 2, 3], 5.0)


def test_slots_and_sequences_say_what_they_are() -> None:
    """The repr names id, progress and occupant: what a log line about a fault needs."""
    room = Room([1, 2])
    (slot,) = room.pool.slots
    assert repr(slot) == "<Slot 0 2 cells idle>"
    slot.sequence = Sequence(builders.request([1, 2, 3]))
    assert "waiting 0/3 tokens, prompt 3" in repr(slot)


def test_what_cannot_be_trimmed_is_computed_anew() -> None:
    """Without a way back only a slot whose whole text the prompt goes on from is of use."""
    layout = builders.limits(n_slots=3, can_trim=False)
    room = Room(range(100), range(40), limits=layout)
    assert room.place(*range(90), 7) == (1, None, 40)
    assert room.place(*range(30), 7) == (2, None, 0)


@pytest.mark.parametrize(("cost", "expected"), [(0, (0, None, 64)), (200, (1, None, 30))])
def test_a_slot_says_how_far_back_it_goes_and_what_that_costs(
    monkeypatch: pytest.MonkeyPatch, cost: float, expected: tuple[int, None, int]
) -> None:
    """A slot that goes back to one token only is used from there, where that is worth the price."""
    room = Room(range(100), range(30))
    rewind = Slot.rewind

    def priced(slot: Slot, n_wanted: int) -> Rewind:
        return Rewind(64, cost) if slot.id == 0 else rewind(slot, n_wanted)

    monkeypatch.setattr(Slot, "rewind", priced)
    assert room.place(*range(90), 7) == expected
