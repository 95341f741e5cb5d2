"""Prefixes that lost their slot come back from host memory, on the real model, in both layouts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pyllama import Llama
from pyllama.sched.ram_tier import RamTier

if TYPE_CHECKING:
    from pathlib import Path

# Two streams of 256 cells, or one pool of 256 cells for up to 32 prefixes: room for few prompts.
LAYOUTS = {
    "streams": {"ctx_size": 512, "parallel": 2},
    "pool": {"ctx_size": 256, "parallel": 2, "kv_unified": True},
}
# One token a micro-batch: the very same arithmetic however a prompt is cut.
OPTIONS: dict[str, Any] = {"threads": 1, "ubatch_size": 1, "warmup": False}
COUNT = "Now count: " + " ".join(f"{n}," for n in range(1, 13))
BEGINNINGS = [
    f"{name} lives in the town. "
    + "".join(f"House {n} has {n * n + start} windows. " for n in range(start, start + 8))
    for start, name in enumerate(("Ann", "Bob", "Cid", "Dan"))
]
STORIES = [beginning + COUNT for beginning in BEGINNINGS]


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = LAYOUTS[request.param]
    return found


@pytest.fixture
def llm(short_model_path: Path, layout: dict[str, Any]) -> Iterator[Llama]:
    with Llama(str(short_model_path), cache_ram=64, **OPTIONS, **layout) as llm:
        yield llm
        llm.check_integrity()


def tier(llm: Llama) -> RamTier:
    return llm._engine._generator.scheduler.tier


def evict(llm: Llama) -> None:
    """Let other prompts take every cell."""
    for story in STORIES[1:]:
        llm.generate(story, max_tokens=1)


def test_an_evicted_prompt_comes_back(llm: Llama) -> None:
    """All but the last token is restored, into another slot or not, and the answer is the same."""
    cold = llm.generate(STORIES[0], max_tokens=12)
    assert cold.usage.cached_tokens == 0
    evict(llm)
    warm = llm.generate(STORIES[0], max_tokens=12)
    assert tier(llm).n_hits >= 1
    assert warm.usage.cached_tokens == warm.usage.prompt_tokens - 1
    assert tier(llm).n_tokens_restored >= warm.usage.cached_tokens
    assert warm.text == cold.text


def test_a_part_of_an_entry_is_of_use(llm: Llama) -> None:
    """Another prompt that begins alike restores the common part and gets its own cold answer."""
    other = BEGINNINGS[0] + "He counts: " + COUNT
    llm.generate(STORIES[0], max_tokens=1)
    evict(llm)
    warm = llm.generate(other, max_tokens=12)
    cold = llm.generate(other, max_tokens=12, cache_prompt=False)
    assert tier(llm).n_hits >= 1
    assert warm.usage.cached_tokens >= len(llm.tokenize(BEGINNINGS[0])) - 2
    assert warm.text == cold.text


def test_two_at_once_use_one_entry(llm: Llama) -> None:
    """An entry is not used up: two requests for it at the same time both start from it."""
    cold = llm.generate(STORIES[0], max_tokens=6)
    evict(llm)
    with ThreadPoolExecutor(2) as pool:
        warm = list(pool.map(lambda _: llm.generate(STORIES[0], max_tokens=6), range(2)))
    n_prompt = cold.usage.prompt_tokens
    assert [completion.usage.cached_tokens for completion in warm] == [n_prompt - 1] * 2
    assert [completion.text for completion in warm] == [cold.text] * 2
    tokens = list(llm.text_prompt(STORIES[0]).tokens)
    assert any(entry.tokens[:n_prompt] == tokens for entry in tier(llm).entries)


def test_sizes_are_those_of_the_buffers(llm: Llama) -> None:
    """What the tier says it takes is what the buffers take, within the limit."""
    llm.generate(STORIES[0], max_tokens=1)
    evict(llm)
    llm.check_integrity()
    store = llm._engine._generator.runner._store  # type: ignore[attr-defined]
    assert 0 < tier(llm).n_bytes == store.n_bytes <= 64 << 20
    assert tier(llm).n_bytes == sum(entry.n_bytes for entry in tier(llm).entries)


def test_damaged_bytes_cost_nothing_but_time(llm: Llama) -> None:
    """A state that llama.cpp refuses is dropped, the prompt is computed, and says so."""
    cold = llm.generate(STORIES[0], max_tokens=12)
    evict(llm)
    llm.check_integrity()
    store = llm._engine._generator.runner._store  # type: ignore[attr-defined]
    for state in store._states.values():
        del state[len(state) // 2 :]
    again = llm.generate(STORIES[0], max_tokens=12)
    assert again.usage.cached_tokens == 0
    assert again.text == cold.text
    assert tier(llm).n_hits == 0


def test_switched_off_nothing_comes_back(short_model_path: Path, layout: dict[str, Any]) -> None:
    """With ``cache_ram=0`` an evicted prompt is computed again."""
    with Llama(str(short_model_path), cache_ram=0, **OPTIONS, **layout) as llm:
        llm.generate(STORIES[0], max_tokens=1)
        evict(llm)
        assert llm.generate(STORIES[0], max_tokens=1).usage.cached_tokens == 0
        assert tier(llm).entries == ()
