"""What each step carries, and how sequences end."""

from __future__ import annotations

import pytest

from pyllama.sched import (
    Finished,
    RemoveCells,
    Scheduler,
    Started,
    Status,
    StepStatus,
    TokenSampled,
)
from tests.support import builders
from tests.support.builders import Driver, limits, request, shape

EOG = 99


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(limits(n_slots=3, eog_tokens=frozenset({EOG})))


@pytest.fixture
def driver(scheduler: Scheduler) -> Driver:
    return Driver(scheduler)


def test_a_request_goes_its_way(scheduler: Scheduler, driver: Driver) -> None:
    """Prompt in one chunk, then a token a step, then the end; events in that order."""
    sequence = scheduler.add(request(4, max_tokens=3))
    driver.finish()
    assert [shape(plan) for plan in driver.plans] == [[(0, 0, 4)], [(0, 4, 1)], [(0, 5, 1)]]
    kinds = [type(event) for event in driver.events]
    assert kinds == [Started, TokenSampled, TokenSampled, TokenSampled, Finished]
    assert driver.events[-1] == Finished(sequence, driver.now_s, "length")
    assert sequence.tokens[4:] == [7, 7, 7]
    assert not scheduler.has_work


def test_decoding_sequences_come_before_prompts(scheduler: Scheduler, driver: Driver) -> None:
    """A step carries the token of every running sequence, however long the prompts beside it."""
    scheduler.add(request(4, max_tokens=50))
    driver.step()
    scheduler.add(request(900, max_tokens=50))
    plan = driver.step()
    assert shape(plan) == [(1, 0, 128), (0, 4, 1)]
    assert plan.n_decoding == 1


def test_more_decoding_rows_than_the_batch_takes_wait_their_turn() -> None:
    """A batch is never over n_batch; the oldest sequences fill it and all end."""
    driver = Driver(Scheduler(limits(n_slots=4, n_batch=2)))
    for _ in range(4):
        driver.scheduler.add(request(1, max_tokens=3))
    driver.finish()
    assert max(plan.n_tokens for plan in driver.plans) == 2
    assert sum(isinstance(event, Finished) for event in driver.events) == 4


def test_half_of_the_room_is_the_oldest_prompts(scheduler: Scheduler, driver: Driver) -> None:
    """The oldest prompt gets half of a step, one that ends in the rest passes it: none starves."""
    for n_tokens in (900, 500, 40):
        scheduler.add(request(n_tokens))
    assert shape(driver.step()) == [(2, 0, 40), (0, 0, 64)]


def test_a_lone_prompt_takes_the_whole_step(scheduler: Scheduler, driver: Driver) -> None:
    """Both halves go to a prompt that is alone."""
    scheduler.add(request(900))
    assert shape(driver.step()) == [(0, 0, 128)]


def test_equal_prompts_go_by_arrival(scheduler: Scheduler, driver: Driver) -> None:
    """Prompts of one length complete in the order in which they came."""
    sequences = [scheduler.add(request(200)) for _ in range(3)]
    driver.finish()
    sampled = [event for event in driver.events if isinstance(event, TokenSampled)]
    first_s = [
        min(event.now_s for event in sampled if event.sequence is sequence)
        for sequence in sequences
    ]
    assert first_s == sorted(first_s)


def test_chunks_shrink_when_steps_are_slow() -> None:
    """The prompt budget learns from the durations that the runner reports."""
    driver = Driver(Scheduler(limits(n_slots=2, n_ctx_seq=9000), step_s=0.2))
    driver.scheduler.add(request(3, max_tokens=400))
    driver.step()
    driver.scheduler.add(request(8000))
    sizes = [driver.step(duration_s=1.0).n_tokens - 1 for _ in range(10)]
    assert sizes[0] == 128
    assert sizes[-1] == 64


def test_an_end_token_stops(scheduler: Scheduler, driver: Driver) -> None:
    """An EOG token ends the sequence with "stop" and is no part of the answer."""
    sequence = scheduler.add(request(4, max_tokens=9))
    driver.step()
    driver.step(token=EOG)
    assert isinstance(driver.events[-1], Finished)
    assert driver.events[-1].reason == "stop"
    assert sequence.tokens[4:] == [7]
    assert sequence.status is Status.FINISHED


def test_the_context_ends_an_answer() -> None:
    """A sequence that fills its context ends with "length" before it would overflow."""
    driver = Driver(Scheduler(limits(n_slots=1, n_ctx_seq=16)))
    sequence = driver.scheduler.add(request(10, max_tokens=99))
    driver.finish()
    assert isinstance(driver.events[-1], Finished)
    assert driver.events[-1].reason == "length"
    assert len(sequence.tokens) == 16


def test_a_cached_prefix_is_not_computed_again(scheduler: Scheduler, driver: Driver) -> None:
    """The same prompt once more computes its last token only and says how much was cached."""
    scheduler.add(request(range(50), max_tokens=3))
    driver.finish()
    scheduler.add(request(range(50), max_tokens=3))
    plan = driver.step()
    assert shape(plan) == [(0, 49, 1)]
    assert plan.operations == (RemoveCells(0, 49),)
    started = [event for event in driver.events if isinstance(event, Started)]
    assert [event.n_cached for event in started] == [0, 49]


def test_without_cache_prompt_everything_is_computed(scheduler: Scheduler, driver: Driver) -> None:
    """``cache_prompt`` off reads no cache, in the freshest slot as little as elsewhere."""
    scheduler.add(request(range(50), max_tokens=3))
    driver.finish()
    scheduler.add(request(range(50), max_tokens=3, cache_prompt=False))
    assert shape(driver.step()) == [(1, 0, 50)]


def test_a_conversation_goes_on_in_untrimmable_state() -> None:
    """Recurrent state is kept for a prompt that goes on from it, and forgotten for one that not."""
    driver = Driver(Scheduler(limits(n_slots=1, can_trim=False)))
    sequence = driver.scheduler.add(request(range(50), max_tokens=3))
    driver.finish()
    # The last sampled token was never computed.
    turn = [*sequence.tokens, 1, 2]
    driver.scheduler.add(request(turn, max_tokens=3))
    plan = driver.step()
    assert (shape(plan), plan.operations) == ([(0, 52, 3)], ())
    driver.finish()
    driver.scheduler.add(request(turn, max_tokens=3))
    plan = driver.step()
    assert (shape(plan), plan.operations) == ([(0, 0, 55)], (RemoveCells(0, 0),))


def test_streams_keep_the_caches_of_the_others() -> None:
    """Where each slot has its own cells, a new prompt costs no other slot its cache.

    The two idle slots are full: counting the cells that the chosen slot is about to lose as
    taken would evict the other for nothing.
    """
    driver = Driver(Scheduler(limits(n_slots=2, n_ctx_seq=100)))
    for start in (0, 1000):
        driver.scheduler.add(request(range(start, start + 95), max_tokens=4))
        driver.finish()
    driver.scheduler.add(request(range(2000, 2060), max_tokens=4))
    driver.finish()
    kept = driver.scheduler.pool.slots[1].tokens
    assert kept[:95] == list(range(1000, 1095))


def test_a_waiting_request_is_aborted(scheduler: Scheduler, driver: Driver) -> None:
    """A request that leaves the queue never starts; twice is once."""
    sequences = [scheduler.add(request(3)) for _ in range(4)]
    driver.step()
    assert list(scheduler.waiting) == [sequences[3]]
    scheduler.abort(sequences[3], 1.0)
    scheduler.abort(sequences[3], 1.0)
    assert len(scheduler.waiting) == 0
    driver.finish()
    assert all(event.sequence is not sequences[3] for event in driver.events)


@pytest.mark.parametrize("n_steps", [1, 5])
def test_a_running_request_is_aborted(n_steps: int) -> None:
    """Mid-prompt or mid-answer the slot is free at once, and what it computed is reused."""
    driver = Driver(Scheduler(limits(n_slots=1)))
    prompt = range(300)
    sequence = driver.scheduler.add(request(prompt, max_tokens=99))
    for _ in range(n_steps):
        driver.step()
    n_past = sequence.n_past
    driver.scheduler.abort(sequence, driver.now_s)
    assert sequence.status is Status.FINISHED
    assert not driver.scheduler.has_work
    driver.scheduler.add(request(prompt, max_tokens=1))
    driver.finish()
    started = [event for event in driver.events if isinstance(event, Started)]
    assert started[-1].n_cached == min(n_past, 299)
    assert not any(isinstance(event, Finished) for event in driver.events[:-1])


def test_an_aborted_step_is_done_again(scheduler: Scheduler, driver: Driver) -> None:
    """What an interrupted batch left in memory is removed, and the same chunks come again."""
    scheduler.add(request(4, max_tokens=9))
    driver.step()
    scheduler.add(request(300))
    broken = driver.step(StepStatus.ABORTED)
    again = driver.step()
    assert again.chunks == broken.chunks
    assert again.operations == (RemoveCells(1, 0), RemoveCells(0, 4))


def test_an_aborted_step_costs_untrimmable_state_everything() -> None:
    """State that cannot go back is computed from its beginning."""
    driver = Driver(Scheduler(limits(n_slots=1, can_trim=False)))
    driver.scheduler.add(request(300))
    driver.step()
    driver.step(StepStatus.ABORTED)
    plan = driver.step()
    assert plan.operations == (RemoveCells(0, 0),)
    assert shape(plan)[0][:2] == (0, 0)


def test_the_ledger_is_compared(scheduler: Scheduler, driver: Driver) -> None:
    """Counts that agree pass, one cell of difference does not, and then all can be forgotten."""
    scheduler.add(request(4, max_tokens=1))
    driver.finish()
    scheduler.check_integrity({0: 4, 1: 0, 2: 0})
    with pytest.raises(AssertionError, match="ledger"):
        scheduler.check_integrity({0: 5, 1: 0, 2: 0})
    scheduler.forget_all()
    assert scheduler.has_work
    assert scheduler.flush().operations == tuple(RemoveCells(seq_id, 0) for seq_id in range(3))
    scheduler.check_integrity({0: 0, 1: 0, 2: 0})


def test_a_failed_step_costs_only_its_own(scheduler: Scheduler, driver: Driver) -> None:
    """Sequences of the failed plan end and their cells go; who waits gets the slots."""
    sequences = [scheduler.add(request(4)) for _ in range(4)]
    plan = scheduler.schedule(0.0)
    assert scheduler.fail(plan, 0.0) == sequences[:3]
    assert all(sequence.status is Status.FINISHED for sequence in sequences[:3])
    driver.finish()
    assert RemoveCells(0, 0) in driver.plans[0].operations
    assert {event.sequence for event in driver.events} == {sequences[3]}


def test_nothing_is_told_of_the_dead(scheduler: Scheduler, driver: Driver) -> None:
    """A sequence that fails, or leaves after another's failure, is not reported as started."""
    failed = scheduler.add(request(900))
    bystander = scheduler.add(request(900))
    plan = scheduler.schedule(0.0)
    only_first = type(plan)(plan.operations, plan.chunks[:1])
    assert scheduler.fail(only_first, 0.0) == [failed]
    scheduler.abort(bystander, 0.0)
    driver.step()
    assert driver.events == []


def test_a_plan_for_a_sequence_without_a_slot_is_a_fault(scheduler: Scheduler) -> None:
    """An abort between plan and result breaks the contract, and is told so."""
    sequence = scheduler.add(request(4))
    plan = scheduler.schedule(0.0)
    scheduler.abort(sequence, 0.0)
    with pytest.raises(AssertionError, match="without a slot"):
        scheduler.update(plan, builders.ok(plan), 0.0)


@pytest.mark.parametrize("status", [StepStatus.ABORTED, StepStatus.NO_KV_CELLS])
def test_a_start_counts_no_token_that_is_computed_again(status: StepStatus) -> None:
    """Where a broken first step costs a sequence its prefix, its start counts nothing as cached."""
    driver = Driver(Scheduler(limits(n_slots=1, can_trim=False)))
    prompt = list(range(50))
    driver.scheduler.add(request(prompt, 1))
    driver.finish()
    driver.scheduler.add(request([*prompt, 1, 2, 3], 1))
    plan = driver.step(status)
    assert shape(plan) == [(0, 50, 3)]
    starts = [event.n_cached for event in driver.events if isinstance(event, Started)]
    assert starts == [0, 0]


def test_who_is_preempted_before_its_first_step_starts_once() -> None:
    """A start is reported with the step that computes, not with a slot that was taken back."""
    driver = Driver(Scheduler(limits(n_slots=1)))
    sequence = driver.scheduler.add(request(10, 1))
    driver.scheduler.schedule(0.0)
    driver.scheduler._lifecycle.preempt(sequence)
    driver.finish()
    assert sum(isinstance(event, Started) for event in driver.events) == 1
