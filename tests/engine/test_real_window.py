"""A model with sliding windows: what the prefix cache must not get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pyllama import Llama
from pyllama.results import Completion
from tests.support import tiny_gemma

# Many windows long: every byte is a token.
STORY = " ".join(
    f"On day {day} the keeper wrote {day} words about the sea." for day in range(1, 13)
)
# One thread, that waits for no other: a busy machine slows the tests and no more.
OPTIONS: dict[str, Any] = {"threads": 1, "warmup": False}
LAYOUTS: dict[str, dict[str, Any]] = {
    "streams": {"parallel": 4},
    "pool": {"parallel": 4, "kv_unified": True},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_gemma.write(tmp_path_factory.mktemp("gemma") / "gemma.gguf"))


@pytest.fixture(scope="module", params=LAYOUTS)
def llm(request: pytest.FixtureRequest, model: str) -> Iterator[Llama]:
    """The model in each layout of its cells."""
    with Llama(model, ctx_size=8192, **OPTIONS, **LAYOUTS[request.param]) as llm:
        yield llm
        llm.check_integrity()


def ask(llm: Llama, prompt: str, *, cache_prompt: bool = True) -> Completion:
    return llm.generate(prompt, max_tokens=24, ignore_eos=True, cache_prompt=cache_prompt)


def test_answers_depend_on_what_the_cache_holds(llm: Llama) -> None:
    """Another beginning, windows before, makes another answer, and another end does."""
    plain = ask(llm, STORY, cache_prompt=False).text
    n_far = len(STORY) - 3 * tiny_gemma.WINDOW
    assert n_far > 3 * tiny_gemma.WINDOW
    for other in (STORY[:n_far].upper() + STORY[n_far:], STORY[:-20] + STORY[-20:].upper()):
        assert ask(llm, other, cache_prompt=False).text != plain


def test_conversation_says_the_same_with_and_without_the_cache(llm: Llama) -> None:
    """Each turn continues what the last one left, and the text is as if it had not."""
    text, n_cached = STORY, 0
    for opening in (" On day 36 the keeper", " On day 37 the", " On day"):
        text += opening
        cached, plain = ask(llm, text), ask(llm, text, cache_prompt=False)
        assert cached.text == plain.text
        assert plain.usage.cached_tokens == 0
        n_cached += cached.usage.cached_tokens
        text += cached.text
    assert n_cached > 2 * len(STORY) // 3


def test_common_beginning_says_the_same_with_and_without_the_cache(llm: Llama) -> None:
    """Prompts that begin alike and arrive together answer as each of them does alone."""
    openings = (" On day 36 the keeper", " On day 36 the", " On day 36", " On day")
    prompts = [STORY + opening for opening in openings]
    with ThreadPoolExecutor(len(prompts)) as pool:
        together = list(pool.map(lambda prompt: ask(llm, prompt), prompts))
    alone = [ask(llm, prompt, cache_prompt=False) for prompt in prompts]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert len({answer.text for answer in alone}) > 1


@pytest.mark.parametrize("options", [{"parallel": 2, "ctx_size": 2048}, {"ctx_size": 1024}])
def test_evicted_state_comes_back_whole(model: str, options: dict[str, Any]) -> None:
    """A prompt that goes on from all of a saved state starts there, and answers as without it."""
    others = [STORY.replace("keeper", name) for name in ("baker", "tailor")]
    with Llama(model, cache_ram=256, **OPTIONS, **{"parallel": 1, **options}) as llm:
        opening = STORY + " On day 36 the keeper"
        text = opening + ask(llm, opening).text
        for other in others:
            llm.generate("A tale. " + other, max_tokens=1)
        cached, plain = ask(llm, text), ask(llm, text, cache_prompt=False)
        assert cached.usage.cached_tokens > len(llm.tokenize(opening))
        assert cached.text == plain.text
        llm.check_integrity()
