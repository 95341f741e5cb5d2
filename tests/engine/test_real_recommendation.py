"""The default model's card in the library: it holds in chats, unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.params import GenerationParams
from pyllama.text import Prompt

pytestmark = pytest.mark.model

USER = [{"role": "user", "content": "Hi"}]
OPTIONS: dict[str, Any] = {"ctx_size": 512, "parallel": 1, "threads": 1, "warmup": False}


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    with Llama(str(model_path), **OPTIONS, top_p=0.5) as llm:
        yield llm


@pytest.fixture
def asked(llm: Llama, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Prompt, GenerationParams]]:
    """What the engine was asked for."""
    seen: list[tuple[Prompt, GenerationParams]] = []
    start = llm.start

    def watched(prompt: Prompt, params: GenerationParams) -> Any:
        seen.append((prompt, params))
        return start(prompt, params.with_options(max_tokens=1))

    monkeypatch.setattr(llm, "start", watched)
    return seen


def test_chats_are_as_the_card_has_it(
    llm: Llama, asked: list[tuple[Prompt, GenerationParams]]
) -> None:
    """Its system prompt and sampling hold; options of the model and of the call hold against it."""
    llm.chat(USER)
    llm.chat([{"role": "system", "content": "Be rude."}, *USER], temperature=0.0, max_tokens=7)
    (first, params), (second, others) = asked
    said = llm.detokenize(first.tokens, special=True)
    assert llm.card.recommendation.system_prompt in said
    assert (params.sampling.temperature, params.sampling.top_p) == (0.2, 0.5)
    assert params.max_tokens == llm.card.recommendation.params["max_tokens"]
    assert "Be rude." in llm.detokenize(second.tokens, special=True)
    assert llm.card.recommendation.system_prompt not in llm.detokenize(second.tokens, special=True)
    assert (others.sampling.temperature, others.max_tokens) == (0.0, 7)


def test_texts_and_prompts_are_as_they_are(
    llm: Llama, asked: list[tuple[Prompt, GenerationParams]]
) -> None:
    """What is no chat knows of no card, nor do the two steps that a server takes."""
    llm.generate("Hi")
    ((_, params),) = asked
    assert params == llm.defaults == GenerationParams().with_options(top_p=0.5)
    said = llm.detokenize(llm.chat_prompt(USER).tokens, special=True)
    assert llm.card.recommendation.system_prompt not in said


def test_an_answer_goes_on_where_it_ended(llm: Llama) -> None:
    """What is continued, as a person's chat does it, adds to the text and repeats none of it."""
    whole = llm.chat(USER, temperature=0.0, max_tokens=12)
    half = llm.chat(USER, temperature=0.0, max_tokens=6)
    system = {"role": "system", "content": llm.card.recommendation.system_prompt}
    began = [system, *USER, {"role": "assistant", "content": half.text}]
    rest = llm.start(
        llm.chat_prompt(began, continue_final_message="content"),
        llm.recommended.over(llm.defaults).with_options(temperature=0.0, max_tokens=6),
    ).result()
    assert whole.text.startswith(half.text)
    assert rest.text
    assert not rest.text.startswith(half.text)
