"""A unified pool: cells that all slots share, and what happens when there are too few."""

from __future__ import annotations

from pyllama.sched import Finished, Scheduler, Started, Status, StepStatus, TokenSampled
from tests.support.builders import Driver, limits, pool, request, shape


def lengths(driver: Driver) -> list[int]:
    return [len(slot.tokens) for slot in driver.scheduler.pool.slots]


def test_who_does_not_fit_waits() -> None:
    """A prompt without room beside those that run stays in the queue, and so do all behind it."""
    driver = Driver(Scheduler(pool(100, n_slots=3)))
    first, large, small = (driver.scheduler.add(request(n)) for n in (60, 60, 5))
    driver.step()
    assert first.status is Status.RUNNING
    assert list(driver.scheduler.waiting) == [large, small]
    driver.finish()
    starts = [event.sequence for event in driver.events if isinstance(event, Started)]
    assert starts == [first, large, small]


def test_idle_caches_make_room_stalest_first() -> None:
    """A new prompt costs the stalest idle cache, and no more of them than it needs."""
    driver = Driver(Scheduler(pool(100, n_slots=4)))
    for n_tokens in (30, 31, 32):
        driver.scheduler.add(request(n_tokens, max_tokens=1))
        driver.finish()
    assert lengths(driver) == [30, 31, 32, 0]
    driver.scheduler.add(request(20, max_tokens=1))
    driver.finish()
    assert lengths(driver) == [0, 31, 32, 20]


def test_the_chosen_slot_is_not_evicted() -> None:
    """The cache that a prompt goes on from survives the eviction that makes room for it."""
    driver = Driver(Scheduler(pool(100, n_slots=2)))
    for start in (0, 1000):
        driver.scheduler.add(request(range(start, start + 45), max_tokens=1))
        driver.finish()
    driver.scheduler.add(request(range(75), max_tokens=1))
    driver.finish()
    starts = [event.n_cached for event in driver.events if isinstance(event, Started)]
    assert starts == [0, 0, 45]
    assert lengths(driver) == [75, 0]


def test_growing_answers_preempt_the_youngest() -> None:
    """When cells run out the youngest gives way, comes back first, and every answer is whole."""
    driver = Driver(Scheduler(pool(40, n_slots=3)))
    old, young, waiting = (driver.scheduler.add(request(12, max_tokens=20)) for _ in range(3))
    for _ in range(12):
        driver.step()
    assert old.status is Status.RUNNING
    assert list(driver.scheduler.waiting) == [young, waiting]
    assert (young.n_past, young.slot) == (0, None)
    driver.finish()
    assert [sequence.n_generated for sequence in (old, young, waiting)] == [20, 20, 20]
    ends = [event.sequence for event in driver.events if isinstance(event, Finished)]
    assert ends == [old, young, waiting]
    n_tokens = sum(isinstance(event, TokenSampled) for event in driver.events)
    assert n_tokens == 60


def test_a_prompt_gives_its_cells_to_decoding_sequences() -> None:
    """The youngest is preempted in the middle of its prompt, if that is who is youngest."""
    driver = Driver(Scheduler(pool(292, n_slots=3)))
    olds = [driver.scheduler.add(request(3, max_tokens=60)) for _ in range(2)]
    driver.step()
    young = driver.scheduler.add(request(280, max_tokens=9))
    # Slow steps: chunks of 32 tokens, so that the answers grow faster than the prompt is done.
    n_past: list[int] = []
    while not n_past or young.status is Status.RUNNING:
        driver.step(duration_s=1.0)
        n_past.append(young.n_past)
    assert 128 < max(n_past) < 280
    assert n_past[-1] == 0
    assert young.status is Status.WAITING
    driver.finish()
    assert [sequence.n_generated for sequence in (*olds, young)] == [60, 60, 9]


def test_llama_cpp_without_cells_costs_an_idle_cache_first() -> None:
    """NO_KV_CELLS takes the stalest idle cache and nothing of those that run."""
    driver = Driver(Scheduler(pool(200, n_slots=3)))
    driver.scheduler.add(request(30, max_tokens=1))
    driver.finish()
    driver.scheduler.add(request(31, max_tokens=1))
    driver.finish()
    sequence = driver.scheduler.add(request(32, max_tokens=2))
    driver.step(StepStatus.NO_KV_CELLS)
    assert lengths(driver) == [0, 31, 0]
    assert sequence.status is Status.RUNNING
    driver.finish()
    assert sequence.n_generated == 2


def test_llama_cpp_without_cells_then_costs_the_youngest() -> None:
    """Without idle caches the youngest goes back to the queue and is computed again."""
    driver = Driver(Scheduler(limits()))
    old, young = (driver.scheduler.add(request(10, max_tokens=3)) for _ in range(2))
    driver.step()
    driver.step(StepStatus.NO_KV_CELLS)
    assert list(driver.scheduler.running) == [old]
    assert list(driver.scheduler.waiting) == [young]
    assert shape(driver.step())[0] == (0, 10, 1)
    driver.finish()
    assert (old.n_generated, young.n_generated) == (3, 3)
    assert sum(isinstance(event, Started) for event in driver.events) == 3


def test_llama_cpp_without_cells_ends_the_last_one() -> None:
    """A sequence that runs alone and finds no cells ends with "length": it has all there is."""
    driver = Driver(Scheduler(limits()))
    sequence = driver.scheduler.add(request(10, max_tokens=9))
    driver.step()
    driver.step(StepStatus.NO_KV_CELLS)
    assert driver.events[-1] == Finished(sequence, driver.now_s, "length")
    assert sequence.n_generated == 1
    assert driver.scheduler.has_work  # what the broken step left has to be removed
    driver.finish()
