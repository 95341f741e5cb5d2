"""Arguments that are no JSON object, since a model was cut off within them or made them up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.errors import InvalidRequest
from pyllama.text.arguments import MAX_MEMBERS, read_arguments, with_object_arguments

TEMPLATES = Path(__file__).parents[2] / "vendor/llama.cpp/models/templates"
BROKEN = '{"city": "Rome'
NO_OBJECTS = [
    *("{", BROKEN, " ", "{'a': 1}", "[1]", "5", "null", '"x"'),
    *('{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', f'{{"a": {"9" * 5000}}}'),
    '{"a":' * 5000 + "1" + "}" * 5000,
]
USER = {"role": "user", "content": "Weather?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def conversation(arguments: str) -> list[dict[str, Any]]:
    """Return a chat in which a tool was called with arguments."""
    function = {"name": "weather", "arguments": arguments}
    call = {"id": "call12345", "type": "function", "function": function}
    result = {"role": "tool", "tool_call_id": "call12345", "name": "weather", "content": "?"}
    return [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, result]


@pytest.mark.parametrize("given", ["{}", '{"a": [1, "ü"]}', {"a": 1}])
def test_objects_stay_as_they_are(given: Any) -> None:
    """What a template can take is not touched."""
    assert read_arguments(given, "a") == given


@pytest.mark.parametrize("given", NO_OBJECTS)
def test_other_texts_become_a_string(given: str) -> None:
    """What llama-common could not read, or a template not take, is told as it was said."""
    assert json.loads(str(read_arguments(given, "a"))) == given


@pytest.mark.parametrize(
    "given",
    [{"a": b"x"}, {"a": float("nan")}, json.dumps(dict.fromkeys(map(str, range(MAX_MEMBERS + 1))))],
)
def test_what_no_model_said_is_refused(given: Any) -> None:
    """An object of the caller's that is no JSON is an error, and so is one that is too wide."""
    with pytest.raises(InvalidRequest) as caught:
        read_arguments(given, "a")
    assert caught.value.param == "a"


def test_objects_around_texts() -> None:
    """Only calls whose arguments are a text change; without any there is nothing to try again."""
    assert with_object_arguments(conversation("{}")) is None
    found = with_object_arguments([*conversation(json.dumps(BROKEN)), *conversation("{}")])
    assert found is not None
    assert found[1]["tool_calls"][0]["function"]["arguments"] == {"arguments": BROKEN}
    assert [found[0], *found[2:]] == [USER, conversation("")[2], *conversation("{}")]


@pytest.mark.model
@pytest.mark.parametrize(
    "name",
    [
        None,
        "Qwen-Qwen3-0.6B",
        "Qwen3-Coder",
        "GLM-4.6",
        "MiniMax-M2",
        "LFM2.5-8B-A1B",
        "google-gemma-4-31B-it",
        "meta-llama-Llama-3.1-8B-Instruct",
        "mistralai-Mistral-Nemo-Instruct-2407",
        "openai-gpt-oss-120b",
    ],
)
def test_a_conversation_goes_on_after_broken_arguments(model_path: Path, name: str | None) -> None:
    """Templates of all kinds show the text that was said, tools and a schema or not."""
    options: dict[str, Any] = {"ctx_size": 256, "parallel": 1, "threads": 1}
    if name is not None:
        options["chat_template"] = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    with Llama(str(model_path), **options) as llm:
        codec = llm._model.codec
        assert codec is not None
        for more in ({}, {"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "required"}):
            for arguments in (BROKEN, "{"):
                messages = conversation(arguments)
                assert llm.chat_prompt(messages, **more).tokens
            said = llm.chat_prompt(conversation(BROKEN), **more)
            text = llm.detokenize(said.tokens, special=True)
            assert "Rome" in text
