"""A model with sliding windows: what the prefix cache must not get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pyllama import Llama
from pyllama.results import Completion
from tests.support import gemma

pytestmark = pytest.mark.model

# Longer than the window of 512 tokens, and so regular that there is one way to go on: sums in
# another order, as another batch makes them, must not decide between two words.
STORY = " ".join(
    f"On day {day} the keeper of the lighthouse wrote {day} words about the sea and the wind."
    for day in range(1, 36)
)
LAYOUTS: dict[str, dict[str, Any]] = {
    "streams": {"parallel": 4},
    "pool": {"parallel": 4, "kv_unified": True},
}


@pytest.fixture(scope="module", params=LAYOUTS)
def llm(request: pytest.FixtureRequest) -> Iterator[Llama]:
    """The model in each layout of its cells."""
    options = LAYOUTS[request.param]
    with Llama(str(gemma.fetch()), ctx_size=8192, threads=2, **options) as llm:
        yield llm
        llm.check_integrity()


def ask(llm: Llama, prompt: str, *, cache_prompt: bool = True) -> Completion:
    return llm.generate(prompt, max_tokens=24, ignore_eos=True, cache_prompt=cache_prompt)


def test_conversation_says_the_same_with_and_without_the_cache(llm: Llama) -> None:
    """Each turn continues what the last one left, and the text is as if it had not."""
    text, n_cached = STORY, 0
    for opening in (" On day 36 the keeper", " On day 37 the", " On day"):
        text += opening
        cached, plain = ask(llm, text), ask(llm, text, cache_prompt=False)
        assert cached.text == plain.text
        assert plain.usage.cached_tokens == 0
        n_cached += cached.usage.cached_tokens
        text += cached.text.partition(".")[0] + "."
    assert "38" in text
    assert n_cached > 0


def test_common_beginning_says_the_same_with_and_without_the_cache(llm: Llama) -> None:
    """Prompts that begin alike and arrive together answer as each of them does alone."""
    openings = (" On day 36 the keeper", " On day 36 the", " On day 36", " On day")
    prompts = [STORY + opening for opening in openings]
    with ThreadPoolExecutor(len(prompts)) as pool:
        together = list(pool.map(lambda prompt: ask(llm, prompt), prompts))
    alone = [ask(llm, prompt, cache_prompt=False) for prompt in prompts]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert all(
        "lighthouse wrote 36 words" in a + b.text for a, b in zip(prompts, alone, strict=True)
    )


@pytest.mark.parametrize("options", [{"parallel": 2, "ctx_size": 2048}, {"ctx_size": 1024}])
def test_evicted_state_comes_back_whole(options: dict[str, Any]) -> None:
    """A prompt that goes on from all of a saved state starts there, and answers as without it."""
    others = [STORY.replace("keeper", name) for name in ("baker", "tailor")]
    with Llama(str(gemma.fetch()), threads=2, cache_ram=256, **{"parallel": 1, **options}) as llm:
        opening = STORY + " On day 36 the keeper"
        text = opening + ask(llm, opening).text
        for other in others:
            llm.generate("A tale. " + other, max_tokens=1)
        cached, plain = ask(llm, text), ask(llm, text, cache_prompt=False)
        assert cached.usage.cached_tokens > len(llm.tokenize(opening))
        assert cached.text == plain.text
        llm.check_integrity()
