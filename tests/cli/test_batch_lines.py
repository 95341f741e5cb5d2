"""Lines of a batch: what they ask for, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyllama.cli.batch.lines import read_line
from pyllama.cli.batch.requests import begin
from pyllama.errors import InvalidRequest, Unsupported
from tests.support.fake_generation import FakeGeneration
from tests.support.fake_llama import FakeLlama

MESSAGES = [{"role": "user", "content": "a"}]
CHAT = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions"}


def start(line: dict[str, Any]) -> FakeGeneration:
    """Begin to answer a line."""
    llm: Any = FakeLlama()
    generation: Any = begin(read_line(0, json.dumps(line).encode()), llm)
    assert isinstance(generation, FakeGeneration)
    return generation


@pytest.mark.parametrize("form", ["plain", "openai"])
def test_a_chat_is_asked_for_in_two_forms(form: str) -> None:
    """OpenAI's envelope and the plain object hand the same to the engine."""
    body = {
        "messages": MESSAGES,
        "model": "any",
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "stop": "x",
        "stream": False,
        "n": 1,
        "seed": None,
        "response_format": {"type": "json_object"},
        "chat_template_kwargs": {"a": 1},
        "enable_thinking": False,
    }
    asked = start({**CHAT, "body": body} if form == "openai" else {"id": 3, **body})
    assert asked.prompt.source == MESSAGES
    assert asked.prompt.options == {
        "json_schema": {"type": "object"},
        "template_kwargs": {"a": 1},
        "enable_thinking": False,
    }
    assert asked.params.max_tokens == 7
    assert asked.params.sampling.temperature == 0.5
    assert asked.params.stop == ("x",)


def test_a_text_is_continued() -> None:
    """A prompt goes with its own options; token ids are a prompt as well."""
    asked = start({"prompt": [1, 2], "json_schema": {"type": "null"}})
    assert asked.prompt.source == [1, 2]
    assert asked.prompt.options == {"json_schema": {"type": "null"}}
    assert start({**CHAT, "url": "/v1/completions", "body": {"prompt": "p"}}).prompt.source == "p"


def test_a_line_says_who_asks() -> None:
    """The id is a text or a number under either name; the rest is what is asked."""
    for name, value in (("id", "a"), ("custom_id", 5)):
        line = read_line(4, json.dumps({name: value, "prompt": "p"}).encode())
        assert (line.index, line.id, line.is_openai) == (4, value, False)
        assert line.fields == {"prompt": "p"}
    line = read_line(0, json.dumps({**CHAT, "body": {"prompt": "p"}}).encode())
    assert (line.id, line.is_openai) == ("x", True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({}, "either messages or a prompt"),
        ({"prompt": "a", "messages": MESSAGES}, "either messages or a prompt"),
        ({"prompt": "a", "id": [1]}, "id must be"),
        ({"prompt": "a", "id": True}, "id must be"),
        ({"prompt": "a", "temperatur": 1}, "did you mean 'temperature'"),
        ({"prompt": "a", "suffix": "b"}, "'suffix'"),
        ({"prompt": "a", "tools": []}, "'tools'"),
        ({"prompt": "a", "logprobs": 3}, "logprobs of a batch's line can only be false"),
        ({"prompt": "a", "stream": True}, "stream of a batch's line can only be false"),
        ({"prompt": "a", "n": 2}, "n of a batch's line can only be 1"),
        ({"prompt": "a", "n": True}, "n of a batch's line can only be 1"),
        ({"prompt": "a", "top_logprobs": 1}, "'top_logprobs'"),
        ({"prompt": "a", "temperature": "hot"}, "temperature must be of type float"),
        ({"prompt": "a", "max_tokens": 1, "max_completion_tokens": 2}, "different values"),
        ({"prompt": "a", "json_schema": [1]}, "json_schema must be of type dict or bool"),
        ({"prompt": "a", "response_format": 1}, "response_format"),
        (
            {"prompt": "a", "grammar": "x", "response_format": {"type": "json_object"}},
            "response_format and grammar exclude each other",
        ),
        ({"messages": MESSAGES, "enable_thinking": [1]}, "enable_thinking must be of type bool"),
        ({"messages": MESSAGES, "reasoning_budget": True}, "reasoning_budget must be of type int"),
        ({**CHAT, "body": 1}, "body must be an object"),
        ({**CHAT}, "body must be an object"),
        ({**CHAT, "body": {}, "method": "GET"}, "method must be POST"),
        ({**CHAT, "body": {}, "url": "/v1/embeddings"}, "url must be one of"),
        ({**CHAT, "body": {}, "url": [1]}, "url must be one of"),
        ({**CHAT, "body": {}, "url": None}, "url must be one of"),
        ({**CHAT, "body": {}, "extra": 1}, "unknown field 'extra'"),
        ({**CHAT, "body": {"prompt": "p"}}, "prompt is no field of /v1/chat/completions"),
        ({**CHAT, "custom_id": {}, "body": {}}, "custom_id must be"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(line: dict[str, Any], words: str) -> None:
    """Nothing that a line asks for is left undone without a word."""
    with pytest.raises(InvalidRequest, match=words.replace("[", r"\[")):
        start(line)


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        ({"chat_template_kwargs": 1}, None, "chat_template_kwargs"),
        ({"template_kwargs": 1}, None, "template_kwargs"),
        ({"chat_template_kwargs": {"enable_thinking": 1}}, "template_kwargs.enable_thinking",
         "chat_template_kwargs.enable_thinking"),
        ({"max_completion_tokens": -2}, None, "max_completion_tokens"),
        ({"max_tokens": -2}, None, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_tokens", "max_completion_tokens"),
        ({"response_format": {"type": "json_object", "schema": {}}}, "json_schema.a",
         "response_format.schema.a"),
    ],
)  # fmt: skip
def test_a_fault_is_named_as_the_line_has_it(
    body: dict[str, Any], param: str | None, told: str
) -> None:
    """Whoever finds it: the line's reader, the parameters, the library."""

    class Strict(FakeLlama):
        def chat_prompt(self, messages: Any, **options: Any) -> Any:
            raise InvalidRequest(f"{param} is wrong", param=param)

    llm: Any = Strict()
    line = read_line(0, json.dumps({"messages": MESSAGES, **body}).encode())
    with pytest.raises(InvalidRequest, match=f"^{told} ") as caught:
        begin(line, llm)
    assert caught.value.param == told


def test_a_field_of_another_server_is_unsupported() -> None:
    """The error tells a field that is missing here from a value that is wrong."""
    with pytest.raises(Unsupported) as caught:
        start({"prompt": "a", "best_of": 2})
    assert caught.value.param == "best_of"


@pytest.mark.parametrize(
    "data",
    [b"{", b"[1]", b'"a"', b"\xff", b"null", b'{"prompt": NaN}', b"[" * 100_000, b'{"a":1}{"b":2}'],
)
def test_what_is_no_object_is_a_fault_and_no_failure(data: bytes) -> None:
    """Any bytes make a line, if only one that says what is wrong."""
    line = read_line(3, data)
    assert line.index == 3
    assert isinstance(line.fault, InvalidRequest)
