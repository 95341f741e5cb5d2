"""Tools and structured output through the public clients of the block and item dialects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import jsonschema
import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import Server

SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
QUESTION = "What is the weather in Rome?"
TOOL: Any = {"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}
OTHER: Any = {"name": "time", "description": "Tells the time.", "input_schema": SCHEMA}
FUNCTION: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": SCHEMA,
    "strict": True,
}


@pytest.fixture
def messages(server: Server) -> Iterator[Any]:
    """What the public Anthropic client calls messages."""
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client.messages


@pytest.fixture
def responses(server: Server) -> Iterator[Any]:
    """What the public OpenAI client calls responses."""
    url = f"{server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client.responses


def test_anthropic_tool_by_name(messages: Any) -> None:
    """The tool that is named is called, streamed too, and the conversation goes on after it."""
    request = {
        "model": "any",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [TOOL, OTHER],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    }
    message = messages.create(**request)
    (block,) = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert block.name == "weather"
    jsonschema.validate(block.input, SCHEMA)
    with messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    assert [item.input for item in streamed.content if item.type == "tool_use"] == [block.input]
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "sunny, 25 degrees"}
    conversation = [
        *request["messages"],  # type: ignore[misc]
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    answer = messages.create(
        model="any",
        max_tokens=40,
        messages=conversation,
        tools=[TOOL],
        tool_choice={"type": "none"},
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text


def test_anthropic_structured_output(messages: Any) -> None:
    """An answer under a schema satisfies it."""
    message = messages.create(
        model="any",
        max_tokens=100,
        messages=[{"role": "user", "content": QUESTION}],
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )
    jsonschema.validate(json.loads(message.content[0].text), SCHEMA)


def test_responses_function_by_name(responses: Any) -> None:
    """The function that is named is called, streamed too, and the conversation goes on after it."""
    request = {
        "model": "any",
        "input": QUESTION,
        "tools": [FUNCTION],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
    }
    response = responses.create(**request)
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert call.name == "weather"
    jsonschema.validate(json.loads(call.arguments), SCHEMA)
    with responses.stream(**request) as stream:
        streamed = stream.get_final_response()
    calls = [item for item in streamed.output if item.type == "function_call"]
    assert [item.arguments for item in calls] == [call.arguments]
    answer = responses.create(
        model="any",
        previous_response_id=response.id,
        input=[
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 25 degrees"}
        ],
        max_output_tokens=40,
    )
    assert answer.output_text


def test_responses_structured_output(responses: Any) -> None:
    """An answer under a schema satisfies it."""
    response = responses.create(
        model="any",
        input=QUESTION,
        text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}},
    )
    jsonschema.validate(json.loads(response.output_text), SCHEMA)
