"""Chats and texts to prompts: what is refused, and with which field's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.errors import ContextOverflow, InvalidRequest
from pyllama.text import gbnf

pytestmark = pytest.mark.model

USER = {"role": "user", "content": "Hi"}
ARGUMENTS = "tool_calls[0].function.arguments"
NO_JSON = {"type": "function", "function": {"name": "f", "arguments": {"a": b"no JSON"}}}


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Any:
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1) as llm:
        yield llm


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        (["Hi"], "messages[0]"),
        ([USER, {"content": "Hi"}], "messages[1].role"),
        ([{"role": "wizard", "content": "Hi"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "assistant", "tool_calls": [NO_JSON]}, USER], f"messages[0].{ARGUMENTS}"),
        ([{"role": "user", "content": [{"type": "hologram"}]}], "messages[0].content[0].type"),
    ],
)
def test_messages_that_no_template_takes_are_refused(
    llm: Llama, messages: list[Any], param: str
) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        llm.chat_prompt(messages)
    assert caught.value.param == param


@pytest.mark.parametrize("letter", ["a", " ", "word ", "<|im_end|>"])
def test_a_chat_that_cannot_fit_is_not_tokenised(
    llm: Llama, monkeypatch: pytest.MonkeyPatch, letter: str
) -> None:
    """What its length tells already need not be counted; the error says what is known."""
    codec = llm._model.codec
    assert codec is not None
    vocab = _Unasked(codec.vocab)
    monkeypatch.setattr(codec.chats, "_vocab", vocab)
    with pytest.raises(ContextOverflow, match=r"at least [0-9]+ tokens, the context 256") as caught:
        llm.chat_prompt([{"role": "user", "content": letter * 100_000}])
    assert 256 < caught.value.n_prompt_tokens <= 100_000 * len(letter)
    assert not vocab.is_asked
    llm.chat_prompt([USER])
    assert vocab.is_asked


class _Unasked:
    """A vocabulary that takes note of being used."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self.is_asked = False

    def tokenize(self, text: str, **options: Any) -> Any:
        self.is_asked = True
        return self._vocab.tokenize(text, **options)


def test_a_message_is_seen_by_the_model(llm: Llama) -> None:
    """System prompt and user text stand in the rendered prompt, the answer's header at its end."""
    messages = [{"role": "system", "content": "Be a pirate."}, USER]
    prompt = llm.chat_prompt(messages)
    text = llm.detokenize(prompt.tokens, special=True)
    assert "Be a pirate." in text
    assert text.rstrip().endswith("assistant")
    without = llm.chat_prompt(messages, add_generation_prompt=False)
    assert len(without.tokens) < len(prompt.tokens)


def test_thinking_can_be_asked_for(llm: Llama) -> None:
    """``enable_thinking`` reaches a template; one that has no use for it renders as ever."""
    asked = llm.chat_prompt([USER], template_kwargs={"enable_thinking": True})
    assert asked == llm.chat_prompt([USER])


def test_template_kwargs_must_be_json(llm: Llama) -> None:
    """A value that JSON cannot carry is the caller's error."""
    with pytest.raises(InvalidRequest):
        llm.chat_prompt([USER], template_kwargs={"x": object()})


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        ([1, -1], "prompt[1]"),
        ([10**6], "prompt[0]"),
        ([True], "prompt[0]"),
        ([1.5], "prompt[0]"),
        ([], "prompt"),
        ("", "prompt"),
        (False, "prompt"),
        (7, "prompt"),
        (None, "prompt"),
        (b"ab", "prompt"),
    ],
)
def test_prompts_that_are_none_are_refused(llm: Llama, prompt: Any, param: str) -> None:
    """Empty prompts and ids outside of the vocabulary never reach the model."""
    with pytest.raises(InvalidRequest) as caught:
        llm.text_prompt(prompt)
    assert caught.value.param == param


@pytest.mark.parametrize("text", ["Grüße", "你好，世界", "🦙" * 20, "a\x00b", "\ud800"])
def test_any_text_is_a_prompt(llm: Llama, text: str) -> None:
    """Every script, control characters and lone surrogates can be tokenised."""
    tokens = llm.text_prompt(text).tokens
    assert llm.text_prompt(tokens).tokens == tokens
    assert llm.detokenize(tokens) == text.encode("utf-8", "replace").decode() or "\ud800" in text


def test_a_grammar_too_large_for_a_chat_is_named(llm: Llama) -> None:
    """What is right by itself, and too large with what a chat puts around it, is no schema."""
    length = next(n for n in range(gbnf.MAX_ELEMENTS, 0, -1) if _can_be(_long(n)))
    with pytest.raises(InvalidRequest, match="grammar makes a grammar that is too large") as caught:
        llm.chat_prompt([USER], grammar=_long(length))
    assert caught.value.param == "grammar"


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_a_value_for_the_template_that_is_no_json_is_named(llm: Llama, value: object) -> None:
    """It is not the messages that are wrong."""
    with pytest.raises(InvalidRequest, match="template_kwargs must be JSON") as caught:
        llm.chat_prompt([USER], template_kwargs={"x": value})
    assert caught.value.param == "template_kwargs"


def _long(length: int) -> str:
    return f'root ::= "{"a" * length}"'


def _can_be(grammar: str) -> bool:
    try:
        gbnf.check(grammar)
    except gbnf.GrammarError:
        return False
    return True
