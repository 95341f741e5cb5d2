"""How prompt chunks adapt to the speed of the machine."""

from __future__ import annotations

import pytest

from pyllama.sched import BatchPlan, Chunk, RemoveCells, Sequence
from pyllama.sched.budget import PrefillBudget
from tests.support import builders


def plan(n_prompt: int, n_decoding: int = 0, depth: int = 0) -> BatchPlan:
    """Return a step with so many prompt tokens, from a depth on, and so many decoding rows."""
    chunks = []
    for seq_id in range(n_decoding):
        sequence = Sequence(builders.request(3))
        sequence.tokens.append(1)
        sequence.n_past = 3
        chunks.append(Chunk(sequence, seq_id, 3, 1, wants_token=True))
    if n_prompt:
        sequence = Sequence(builders.request(depth + n_prompt))
        sequence.n_past = depth
        chunks.append(Chunk(sequence, n_decoding, depth, n_prompt, wants_token=True))
    return BatchPlan((), tuple(chunks))


def learned(token_s: float, decode_s: float, *, n_batch: int = 2048) -> PrefillBudget:
    """Return a budget that has seen many steps of a machine with these costs."""
    budget = PrefillBudget(builders.limits(n_batch=n_batch), step_s=0.2)
    for _ in range(60):
        budget.observe(plan(0, 4), decode_s)
        budget.observe(plan(64, 4), decode_s + 64 * token_s)
    budget.observe(plan(256, 4), decode_s + 256 * token_s)
    return budget


@pytest.mark.parametrize(("n_batch", "n_tokens"), [(512, 128), (64, 64)])
def test_the_first_chunk_is_small(n_batch: int, n_tokens: int) -> None:
    """Before anything is measured a chunk is one that a slow machine survives."""
    budget = PrefillBudget(builders.limits(n_batch=n_batch), step_s=0.2)
    assert budget.tokens(0) == budget.tokens(3) == n_tokens


def test_chunks_fill_the_time_beside_the_decodes() -> None:
    """With decodes of 40 ms and 1 ms a prompt token, 160 ms of a 200 ms step hold 160 tokens."""
    assert 155 <= learned(0.001, 0.04).tokens(4) <= 165


def test_streams_do_not_wait_for_a_guess() -> None:
    """A chunk beside them is at most twice as long as the longest that was measured."""
    budget = PrefillBudget(builders.limits(n_batch=2048), step_s=0.4)
    budget.observe(plan(128), 128 * 0.001)
    assert budget.tokens(4) == 256
    assert budget.tokens(0) > 1000
    budget.observe(plan(256, 4, depth=128), 256 * 0.001)
    assert 390 <= budget.tokens(4) <= 410


def test_a_slow_machine_gets_small_chunks() -> None:
    """The dearer a token, the smaller the chunk, down to a floor that is still worth a pass."""
    sizes = [learned(cost_s, 0.04).tokens(4) for cost_s in (0.0005, 0.001, 0.002, 0.1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 64


def test_the_floor_holds_where_decodes_alone_are_too_slow() -> None:
    """Prompts advance even if the decoding rows use up the whole step time."""
    assert learned(0.001, 0.5).tokens(4) == 64


def test_alone_a_prompt_gets_more() -> None:
    """Without streams to keep in pace chunks grow, but never beyond the batch."""
    budget = learned(0.001, 0.04)
    assert budget.tokens(0) > 3 * budget.tokens(4)
    assert learned(0.1, 0.04).tokens(0) == 128
    assert learned(1e-6, 0.04, n_batch=512).tokens(0) == 512


def test_the_budget_follows_a_machine_that_slows_down() -> None:
    """After some slow steps chunks are smaller than before."""
    budget = learned(0.001, 0.04)
    before = budget.tokens(4)
    for _ in range(10):
        budget.observe(plan(128, 4), 1.0)
    assert budget.tokens(4) < before


def test_steps_that_say_nothing_teach_nothing() -> None:
    """A step that only tidies memory, or carries a handful of prompt tokens, is no measurement."""
    budget = learned(0.001, 0.1)
    before = budget.tokens(4)
    for _ in range(20):
        budget.observe(BatchPlan((RemoveCells(0, 0),)), 0.0)
        budget.observe(plan(5, 4), 9.0)
    assert budget.tokens(4) == before


def test_chunks_shrink_as_a_prompt_grows_deep() -> None:
    """Where each cell before it makes a token dearer, every chunk takes about the step's time."""

    def duration_s(n_tokens: int, depth: int) -> float:
        return n_tokens * (0.001 + 1e-6 * (depth + n_tokens / 2))

    budget = PrefillBudget(builders.limits(n_batch=2048, n_ctx_seq=16384), step_s=0.2)
    depth, durations_s = 0, []
    while depth < 2000:
        n_tokens = budget.tokens(1, 1, depth)
        durations_s.append(duration_s(n_tokens, depth))
        budget.observe(plan(n_tokens, 1, depth), durations_s[-1])
        depth += n_tokens
    # The first chunks teach.
    assert max(durations_s[3:]) < 0.21
    assert min(durations_s[3:]) > 0.1


def test_a_crowd_of_prompts_may_take_longer() -> None:
    """Where more prompts wait than streams run the step grows, but no further than to twice."""
    budget = learned(0.001, 0.04)
    assert budget.tokens(4, 1) == budget.tokens(4, 4)
    assert budget.tokens(4, 4) < budget.tokens(4, 6) < budget.tokens(4, 8)
    assert budget.tokens(4, 8) == budget.tokens(1, 31)


def test_cost_never_falls_with_depth() -> None:
    """Measurements that say so are noise: a deep chunk is never larger than a shallow one."""
    budget = learned(0.001, 0.0)
    for depth, cost_s in ((0, 0.003), (1000, 0.001), (0, 0.003), (2000, 0.001)):
        budget.observe(plan(128, 1, depth), 128 * cost_s)
    assert budget.tokens(1, 1, 4000) <= budget.tokens(1, 1, 0)
