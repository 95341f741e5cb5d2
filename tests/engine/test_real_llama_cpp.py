"""llama-cpp-python's interface, as its users call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyllama.errors import ConfigError, InvalidRequest, UnknownOption, Unsupported
from pyllama.llama_cpp import Llama

pytestmark = pytest.mark.model

COUNT = "1, 2, 3, 4, 5, 6, 7, 8,"
CHAT = [{"role": "user", "content": "Name a colour."}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    with Llama(model_path=str(model_path), n_ctx=2048, n_threads=1, n_batch=512, seed=7) as llm:
        yield llm


def test_a_completion_has_their_shape(llm: Llama) -> None:
    """A call of the object continues a text, with the text before it if asked for."""
    answer: Any = llm(COUNT, max_tokens=4, temperature=0.0, echo=True)
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["choices"][0]["text"] == f"{COUNT} 9, "
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4


def test_chunks_join_to_the_whole(llm: Llama) -> None:
    """A stream says what the whole answer says."""
    asked: dict[str, Any] = {"max_tokens": 8, "temperature": 0.0, "logprobs": 1}
    whole: Any = llm.create_completion(COUNT, **asked)
    chunks: Any = list(llm.create_completion(COUNT, stream=True, **asked))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == whole["choices"][0]["text"]
    logprobs = whole["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == whole["choices"][0]["text"]
    assert all(value <= 0 for value in logprobs["token_logprobs"])
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_a_chat_has_their_shape(llm: Llama) -> None:
    """A chat answers with a message, whole or piece by piece."""
    whole: Any = llm.create_chat_completion(CHAT, max_tokens=8, temperature=0.0)
    chunks: Any = list(
        llm.create_chat_completion(CHAT, max_tokens=8, temperature=0.0, stream=True, logprobs=True)
    )
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": text}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant"}
    assert any(chunk["choices"][0]["logprobs"] for chunk in chunks)


def test_a_bad_form_is_told_by_their_names(llm: Llama) -> None:
    """What is wrong with a schema is wrong with the response_format that holds it."""
    schema = {"type": "object", "properties": {"a": {"type": "nothing"}}}
    form = {"type": "json_object", "schema": schema}
    with pytest.raises(InvalidRequest) as caught:
        llm.create_chat_completion(CHAT, response_format=form)
    assert caught.value.param == "response_format.schema.properties.a.type"
    with pytest.raises(InvalidRequest, match="response_format and grammar"):
        llm.create_chat_completion(CHAT, response_format=form, grammar="root ::= [a]")


def test_tools_and_forms_are_theirs_too(llm: Llama) -> None:
    """A required tool is called; a response_format with a schema gives an object of it."""
    asked: Any = llm.create_chat_completion(
        [{"role": "user", "content": "Weather in Paris?"}],
        tools=TOOLS,
        tool_choice="required",
        max_tokens=60,
        temperature=0.0,
    )
    (call,) = asked["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert isinstance(json.loads(call["function"]["arguments"])["city"], str)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    formed: Any = llm.create_chat_completion(
        CHAT, response_format={"type": "json_object", "schema": schema}, max_tokens=40
    )
    assert isinstance(json.loads(formed["choices"][0]["message"]["content"])["n"], int)


def test_what_is_not_done_is_refused_by_name(llm: Llama, model_path: Path) -> None:
    """Callbacks, old fields and unknown options are errors that name what to use."""
    for name in ("logits_processor", "stopping_criteria"):
        further: dict[str, Any] = {name: print}
        with pytest.raises(Unsupported, match=name):
            llm.create_completion(COUNT, **further)
    with pytest.raises(Unsupported, match="tools"):
        llm.create_chat_completion(CHAT, functions=[{}])
    with pytest.raises(Unsupported, match="tfs_z"):
        llm.create_completion(COUNT, tfs_z=0.5)
    with pytest.raises(InvalidRequest):
        llm.create_completion(COUNT, echo=True, logprobs=1)
    with pytest.raises(UnknownOption):
        Llama(model_path=str(model_path), n_ctxx=5)
    with pytest.raises(ConfigError, match="pooling_type"):
        Llama(model_path=str(model_path), pooling_type=5)


def test_the_vocabulary_speaks_bytes(llm: Llama) -> None:
    """Text goes in and comes out as UTF-8; sizes are methods."""
    tokens = llm.tokenize(b"Gr\xc3\xbc\xc3\x9fe", add_bos=False)
    assert llm.detokenize(tokens) == b"Gr\xc3\xbc\xc3\x9fe"
    assert (llm.n_ctx(), llm.n_vocab()) == (2048, 49152)
