"""Several answers to one prompt, and how likely tokens were, as a library user sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyllama import Llama
from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    """The default model with two slots, and room for one request to wait."""
    with Llama(str(model_path), ctx_size=512, parallel=2, threads=1, max_queue=1) as llm:
        yield llm


def test_tokens_have_their_log_probabilities(llm: Llama) -> None:
    """Each token of a greedy answer is the likeliest at its place; deltas add up to them all."""
    params = llm.defaults.with_options(max_tokens=6, logprobs=2)
    generation = llm.start(llm.text_prompt("1, 2, 3,"), params)
    parts = [item for delta in generation for item in delta.logprobs]
    done = generation.completion
    assert done.logprobs == tuple(parts)
    assert len(parts) == done.usage.completion_tokens
    assert b"".join(llm.piece(item.token) for item in parts).decode() == done.text
    for item in parts:
        assert item.top[0] == (item.token, item.logprob)
        assert len(item.top) == 2


def test_prompt_has_its_log_probabilities_before_the_first_delta(llm: Llama) -> None:
    """Every prompt token but the first is scored, and without new tokens that is all."""
    prompt = llm.text_prompt("The capital of France is Paris.")
    params = llm.defaults.with_options(max_tokens=0, prompt_logprobs=1)
    generation = llm.start(prompt, params)
    delta = next(generation)
    assert delta.finish_reason == "length"
    assert [item.token for item in generation.prompt_logprobs] == list(prompt.tokens[1:])
    assert generation.completion.prompt_logprobs == generation.prompt_logprobs
    assert generation.completion.text == ""
    assert generation.usage.completion_tokens == 0


def test_more_answers_than_fit_are_refused_for_good(llm: Llama) -> None:
    """What can never be taken is no matter of waiting; what just fits is taken."""
    pair = (llm.text_prompt("Once"), llm.defaults.with_options(max_tokens=2))
    with pytest.raises(InvalidRequest, match="at most 3"):
        llm.start_all([pair] * 4)
    assert len(llm.start_all([pair] * 3).results()) == 3
