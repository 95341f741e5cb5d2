"""The RAM tier: what is saved, what is found, what a step may move, and what fails."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pyllama.sched import (
    CopyCells,
    DropState,
    LoadState,
    SaveState,
    Scheduler,
    Sequence,
    Started,
    StateMove,
    StepResult,
    StepStatus,
)
from pyllama.sched.plan import CellOp
from pyllama.sched.ram_tier import RamTier
from tests.support.builders import limits, pool, request
from tests.support.fake_runner import FakeRunner

LONG = list(range(1000, 1100))


def saved(
    tier: RamTier, *contents: Iterable[int], n_bytes: int = 1000, duration_s: float = 0.001
) -> list[list[CellOp]]:
    """Save these contents, each in a step of its own; return the operations of each."""
    found = []
    for tokens in contents:
        tier.begin_step()
        operations = tier.save(0, list(tokens), None)
        moves = [
            StateMove(operation, n_bytes, duration_s)
            for operation in operations
            if isinstance(operation, SaveState)
        ]
        found.append(operations + tier.settle(moves))
    return found


def lengths(tier: RamTier) -> list[int]:
    return [len(entry.tokens) for entry in tier.entries]


class Engine:
    """A scheduler with a tier over a fake runner: one turn after the other."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.runner = FakeRunner(scheduler.limits)
        self.starts: list[int] = []
        self.operations: list[CellOp] = []
        self.now_s = 0.0

    def turn(self) -> StepResult:
        plan = self.scheduler.schedule(self.now_s)
        self.now_s += 1.0
        self.operations = list(plan.operations)
        result = self.runner.run(plan)
        events = self.scheduler.update(plan, result, self.now_s)
        self.starts += [event.n_cached for event in events if isinstance(event, Started)]
        return result

    def ask(self, *prompts: Iterable[int], max_tokens: int = 1) -> list[Sequence]:
        """Let these be answered together; return their sequences."""
        sequences = [self.scheduler.add(request(list(p), max_tokens)) for p in prompts]
        while self.scheduler.has_work:
            self.turn()
        return sequences


def make(n_slots: int = 1, *, is_pool: bool = False, can_trim: bool = True) -> Engine:
    shape = pool(400, n_slots=n_slots, n_seq_ids=n_slots) if is_pool else limits(n_slots=n_slots)
    if not can_trim:
        shape = limits(n_slots=n_slots, can_trim=False)
    return Engine(Scheduler(shape, max_ram_bytes=None))


def test_what_is_lost_is_saved() -> None:
    """Many tokens that nothing else holds are worth an entry; few or shared ones are not."""
    tier = RamTier(None, can_trim=True)
    assert tier.wants(LONG, 0, [])
    assert not tier.wants(LONG[:63], 0, [])
    assert not tier.wants(LONG, 40, [])
    assert not tier.wants(LONG, 0, [LONG[:50], [*LONG[:40], 1]])
    assert tier.wants(LONG, 0, [LONG[:30]])


def test_switched_off_it_wants_nothing() -> None:
    """A limit of 0 saves nothing and spends nothing."""
    tier = RamTier(0, can_trim=True)
    assert not tier.wants(LONG, 0, [])
    assert not tier.is_spent
    assert tier.find(LONG) == (None, 0)


def test_a_longer_state_replaces_its_prefixes() -> None:
    """An entry that begins a newer one goes; one that a held entry covers is not saved again."""
    tier = RamTier(None, can_trim=True)
    steps = saved(tier, LONG[:70], [*LONG, *range(100)], LONG[:90])
    assert steps == [[SaveState(0, 0)], [DropState(0), SaveState(0, 1)], []]
    assert lengths(tier) == [200]
    assert tier.n_bytes == 1000


def test_prefixes_of_untrimmable_states_stay() -> None:
    """Where only whole states are of use, a longer one does not stand for a shorter one."""
    tier = RamTier(None, can_trim=False)
    saved(tier, LONG[:70], [*LONG, *range(100)])
    assert lengths(tier) == [70, 200]
    assert tier.find([*LONG[:70], 1, 2])[1] == 70
    assert tier.find(LONG[:69])[1] == 0


def test_the_stalest_entry_goes_first() -> None:
    """Use keeps an entry, also use in place of a new save; the limit costs the stalest."""
    tier = RamTier(2500, can_trim=True)
    contents = [range(start, start + 100) for start in (0, 1000, 2000)]
    saved(tier, *contents[:2])
    entry, n_found = tier.find(list(range(50)))
    assert entry is not None
    assert n_found == 49
    tier.load(entry, 0, 49)
    assert saved(tier, contents[2])[0] == [DropState(1), SaveState(0, 2)]
    saved(tier, range(100))
    assert saved(tier, contents[1])[0] == [DropState(2), SaveState(0, 3)]
    assert tier.n_bytes == 2000


def test_an_entry_past_the_limit_is_not_kept() -> None:
    """The first size is not known before: that state goes at once, and later ones are not asked."""
    tier = RamTier(500, can_trim=True)
    assert saved(tier, LONG)[0] == [SaveState(0, 0), DropState(0)]
    assert (tier.entries, tier.n_bytes) == ((), 0)
    assert not tier.wants(list(range(100)), 0, [])


def test_the_entry_in_hand_is_not_dropped_for_another() -> None:
    """Without room beside the entry that is about to be loaded, nothing is saved."""
    tier = RamTier(1500, can_trim=True)
    saved(tier, LONG)
    (entry,) = tier.entries
    tier.begin_step()
    assert tier.save(0, list(range(100)), entry) == []
    assert tier.save(0, [*LONG, *range(100)], entry) == []
    assert tier.entries == (entry,)


def test_the_longest_prefix_is_found() -> None:
    """The most tokens win, in ties the state that is quicker to load."""
    tier = RamTier(None, can_trim=True)
    saved(tier, [*LONG[:50], *range(200)], [*LONG[:50], *range(500, 600)], LONG[:40] + [1] * 70)
    entry, n_found = tier.find(LONG)
    assert entry is not None
    assert (n_found, len(entry.tokens)) == (50, 150)
    assert tier.find([7, 8, 9]) == (None, 0)


def test_an_unknown_speed_allows_one_move() -> None:
    """Before anything is measured one move fills a step; afterwards quick ones share it."""
    tier = RamTier(None, can_trim=True, step_s=0.4)
    tier.save(0, LONG, None)
    assert tier.save(1, list(range(100)), None) == []
    tier.settle([StateMove(SaveState(0, 0), 1000, 0.05)])
    tier.begin_step()
    n_saved = sum(bool(tier.save(1, list(range(n, n + 100)), None)) for n in range(2000, 9000, 200))
    assert n_saved == 2  # of 50 ms, in a quarter of 400 ms


def test_a_slow_load_must_be_worth_it() -> None:
    """The cost of a load is its time against that of computing, in prompt tokens."""
    tier = RamTier(None, can_trim=True)
    saved(tier, LONG, duration_s=1.0)
    (entry,) = tier.entries
    assert tier.load_cost(entry, None) == 32
    assert tier.load_cost(entry, 0.1) == pytest.approx(32 + 10)
    tier.settle([StateMove(LoadState(0, 0, 10), 1000, 4.0)])
    assert tier.load_cost(entry, 0.1) == pytest.approx(32 + 40)
    assert (tier.n_hits, tier.n_tokens_restored) == (1, 10)


def test_a_failed_save_costs_only_itself() -> None:
    """An entry whose state could not be saved goes; the others stay."""
    tier = RamTier(None, can_trim=True)
    saved(tier, LONG)
    assert saved(tier, range(100), n_bytes=0)[0] == [SaveState(0, 1), DropState(1)]
    assert lengths(tier) == [100]
    assert tier.n_bytes == 1000


def test_an_evicted_prompt_is_restored() -> None:
    """A slot's text is saved before it goes, and comes back in place of the other's."""
    engine = make()
    engine.ask(LONG, range(300))
    assert engine.starts == [0, 0]
    engine.ask([*LONG, 1, 2])
    assert engine.starts == [0, 0, 100]
    assert (engine.scheduler.tier.n_hits, engine.scheduler.tier.n_tokens_restored) == (1, 100)


def test_an_entry_serves_several_at_once() -> None:
    """Where nothing can be copied from a running sequence, each loads the entry for itself."""
    engine = make(2, can_trim=False)
    engine.ask(LONG, range(300), range(500, 800))
    first = engine.scheduler.add(request([*LONG, 1, 2], 9))
    engine.turn()
    assert first.n_past > 100
    engine.ask([*LONG, 3, 4])
    assert engine.starts == [0, 0, 0, 100, 100]
    assert engine.scheduler.tier.n_hits == 2


def test_a_pool_makes_room_for_the_whole_entry() -> None:
    """Idle prefixes go, one step after the other, until all of an entry fits beside who runs."""
    engine = Engine(Scheduler(pool(400, n_slots=4, n_seq_ids=4), step_s=0.01, max_ram_bytes=None))
    engine.runner.move_s = 0.003  # a save fills a step
    for start in (0, 1000, 2000):
        engine.ask(range(start, start + 300))
    for start in (3000, 4000, 5000):
        engine.ask(range(start, start + 120))
    sequence = engine.scheduler.add(request([*range(1000, 1200), 7], 1))
    engine.turn()
    assert any(isinstance(operation, SaveState) for operation in engine.operations)
    assert sequence.slot is None
    engine.ask()
    assert engine.starts[-1] == 200
    assert engine.scheduler.tier.n_hits == 1


def test_an_entry_without_room_beside_who_runs_is_left_alone() -> None:
    """A state that needs more cells than are left is not loaded: the prompt is computed."""
    engine = make(2, is_pool=True)
    engine.ask(range(300))
    engine.ask(range(1000, 1300))
    running = engine.scheduler.add(request(150, max_tokens=30))
    engine.turn()
    engine.turn()
    assert running.n_generated > 0
    engine.ask([*range(100), 7])
    assert engine.starts[-1] == 0
    assert engine.scheduler.tier.n_hits == 0


def test_a_lost_state_is_computed() -> None:
    """A load that fails costs its entry and the step, and the start counts no cached token."""
    engine = make()
    engine.ask(LONG, range(300))
    engine.runner.load_answers = [False]
    engine.scheduler.add(request([*LONG, 1, 2], 1))
    assert engine.turn().status is StepStatus.STATE_LOST
    assert engine.starts == [0, 0, 0]
    engine.ask()
    engine.scheduler.check_integrity(engine.runner.cells())
    assert engine.scheduler.tier.n_hits == 0
    assert LONG not in [entry.tokens[:100] for entry in engine.scheduler.tier.entries]


def test_what_was_saved_beside_a_lost_state_is_lost() -> None:
    """A save in the same plan may have been made from the load that failed: its entry goes."""
    engine = make()
    engine.ask(LONG, range(300))
    engine.runner.load_answers = [False]
    engine.scheduler.add(request([*LONG, 1, 2], 1))
    engine.turn()
    assert any(isinstance(operation, SaveState) for operation in engine.operations)
    assert engine.scheduler.tier.entries == ()
    engine.ask()
    assert engine.runner.memory.states == {}


def test_a_load_slower_than_computing_is_not_done() -> None:
    """Where moving state takes longer than the tokens do, they are computed."""
    engine = make()
    engine.runner.move_s = 10.0
    engine.ask(LONG, range(300), [*LONG, 1, 2])
    assert engine.starts == [0, 0, 0]
    assert engine.scheduler.tier.n_hits == 0


def test_what_was_copied_from_a_lost_state_is_lost() -> None:
    """A copy in the same plan rests on the load that failed, and is computed too."""
    engine = make(2)
    engine.ask(LONG, range(300), range(500, 800))
    engine.runner.load_answers = [False]
    for end in (1, 2):
        engine.scheduler.add(request([*LONG, end, end], 1))
    assert engine.turn().status is StepStatus.STATE_LOST
    assert {type(operation) for operation in engine.operations} >= {LoadState, CopyCells}
    engine.ask()
    assert engine.starts[-2:] == [0, 0]
    engine.scheduler.check_integrity(engine.runner.cells())


def test_a_broken_step_takes_the_saves_of_its_plan() -> None:
    """Of a plan that raised nobody knows what was saved: its entries go, requests and all."""
    engine = make()
    engine.ask(LONG)
    engine.scheduler.add(request(300))
    plan = engine.scheduler.schedule(0.0)
    assert SaveState(0, 0) in plan.operations
    engine.scheduler.fail(plan, 0.0)
    assert engine.scheduler.tier.entries == ()
    assert DropState(0) in engine.scheduler.flush().operations


def test_a_slot_waits_for_its_turn_to_be_saved() -> None:
    """One slow save a step: who would overwrite the next slot waits for the next step."""
    engine = make(2)
    engine.ask(range(300), range(500, 800))
    engine.runner.move_s = 10.0
    for start in (1000, 2000):
        engine.scheduler.add(request(range(start, start + 50), 5))
    engine.turn()
    assert (len(engine.scheduler.running), len(engine.scheduler.waiting)) == (1, 1)
    engine.turn()
    assert (len(engine.scheduler.running), len(engine.scheduler.waiting)) == (2, 0)
    assert lengths(engine.scheduler.tier) == [300, 300]


def test_a_preempted_sequence_comes_back_from_the_tier() -> None:
    """What a full pool takes from a running sequence is saved, and not computed again."""
    engine = make(2, is_pool=True)
    old, young = engine.ask(range(150), range(1000, 1150), max_tokens=90)
    assert (old.n_generated, young.n_generated) == (90, 90)
    assert engine.scheduler.tier.n_hits >= 1
    assert engine.starts[-1] == 150


def test_all_is_forgotten_where_the_ledger_was_wrong() -> None:
    """Entries saved from cells that were not what they seemed are of no use."""
    engine = make()
    engine.ask(LONG, range(300))
    engine.scheduler.forget_all()
    assert engine.scheduler.tier.entries == ()
    assert DropState(0) in engine.scheduler.flush().operations
