"""An answer of three calls is three calls in every dialect, whole or streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_llama import FakeLlama
from tests.support.folding import fold_chat
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events, named_events

ASKED = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
PIECES = [
    ToolCallDelta(index=i, id=f"call_{i}", name="add", arguments=f'{{"a": {i}}}') for i in range(3)
]
SCRIPTS = {
    "at once": [OutputDelta(tool_calls=tuple(PIECES))],
    "one after the other": [OutputDelta(tool_calls=(piece,)) for piece in PIECES],
    "two in one piece": [
        OutputDelta(tool_calls=tuple(PIECES[:2])),
        OutputDelta(tool_calls=(PIECES[2],)),
    ],
}
Read = Callable[[str, bool], list[tuple[str, Any]]]


def _openai(text: str, is_stream: bool) -> list[tuple[str, Any]]:  # noqa: FBT001
    chunks = [chunk for chunk in events(text) if chunk != "[DONE]"]
    (choice,) = fold_chat(chunks) if is_stream else orjson.loads(text)["choices"]
    functions = [call["function"] for call in choice["message"]["tool_calls"]]
    return [(function["name"], orjson.loads(function["arguments"])) for function in functions]


def _responses(text: str, is_stream: bool) -> list[tuple[str, Any]]:  # noqa: FBT001
    if is_stream:
        done = [data for name, data in named_events(text) if name == "response.output_item.done"]
        items = [data["item"] for data in done]
    else:
        items = orjson.loads(text)["output"]
    return [(item["name"], orjson.loads(item["arguments"])) for item in items]


def _anthropic(text: str, is_stream: bool) -> list[tuple[str, Any]]:  # noqa: FBT001
    if not is_stream:
        return [(block["name"], block["input"]) for block in orjson.loads(text)["content"]]
    names: list[str] = []
    inputs: list[str] = []
    for name, data in named_events(text):
        if name == "content_block_start":
            names.append(data["content_block"]["name"])
            inputs.append("")
        elif name == "content_block_delta":
            inputs[data["index"]] += data["delta"]["partial_json"]
    return [(name, orjson.loads(made)) for name, made in zip(names, inputs, strict=True)]


def _ollama(text: str, is_stream: bool) -> list[tuple[str, Any]]:  # noqa: FBT001
    parts = (
        [orjson.loads(line) for line in text.splitlines()] if is_stream else [orjson.loads(text)]
    )
    calls = [call for part in parts for call in part["message"].get("tool_calls", ())]
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def _web(text: str, is_stream: bool) -> list[tuple[str, Any]]:  # noqa: FBT001
    parts = events(text)[:-1] if is_stream else [orjson.loads(text)]
    calls = [call for part in parts for call in part.get("tool_calls", ())]
    return [(call["name"], call["arguments"]) for call in calls]


DIALECTS: dict[str, tuple[dict[str, Any], Read]] = {
    "/v1/chat/completions": ({"messages": ASKED, "tools": [FUNCTION]}, _openai),
    "/v1/responses": (
        {
            "model": "fake",
            "input": "Hi",
            "tools": [{"type": "function", "name": "add", "parameters": SCHEMA}],
        },
        _responses,
    ),
    "/v1/messages": (
        {
            "model": "fake",
            "max_tokens": 9,
            "messages": ASKED,
            "tools": [{"name": "add", "input_schema": SCHEMA}],
        },
        _anthropic,
    ),
    "/api/chat/ollama": ({"model": "fake", "messages": ASKED, "tools": [FUNCTION]}, _ollama),
    "/api/chat": ({"messages": ASKED, "tools": [{"function": FUNCTION["function"]}]}, _web),
}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("path", DIALECTS)
def test_every_call_reaches_the_client(
    connect: ClientOf, path: str, script: list[Any], *, is_stream: bool
) -> None:
    """Names, arguments and order are the parser's; none is lost, joined or told twice."""
    body, read = DIALECTS[path]
    response = connect(FakeLlama(script)).post(path, json={**body, "stream": is_stream})
    assert response.status_code == 200, response.text
    assert read(response.text, is_stream) == [("add", {"a": i}) for i in range(3)]
