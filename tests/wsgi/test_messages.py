"""Messages of a conversation: the forms that are taken, and those that are refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama

URL = "/v1/chat/completions"
ARGUMENTS = '{"city": "Rome"}'


def read(client: httpx.Client, llm: FakeLlama, message: dict[str, Any]) -> Any:
    """Return a message as the chat template gets it."""
    response = client.post(URL, json={"messages": [message]})
    assert response.status_code == 200, response.text
    return llm.generations[-1].prompt.source[0]


def test_message_that_came_back_is_taken(client: httpx.Client, llm: FakeLlama) -> None:
    """A client may send back the message that it got, nulls included."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ARGUMENTS}}
    message = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning_content": "Hm.",
        "tool_calls": [call],
    }
    assert read(client, llm, message) == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "tool_calls": [call],
    }


def test_arguments_may_be_an_object(client: httpx.Client, llm: FakeLlama) -> None:
    """Arguments that are not text become text, an absent one included."""
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": {"city": "Rome"}}},
        {"type": None, "function": {"name": "g"}},
    ]
    got = read(client, llm, {"role": "assistant", "content": "", "tool_calls": calls})
    assert got["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city":"Rome"}'}},
        {"type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_empty_list_of_calls_is_none(client: httpx.Client, llm: FakeLlama) -> None:
    """A message with an empty list of calls calls nothing."""
    message = {"role": "assistant", "content": "Hi", "tool_calls": []}
    assert read(client, llm, message) == {"role": "assistant", "content": "Hi"}


def test_refusals_are_text(client: httpx.Client, llm: FakeLlama) -> None:
    """What the assistant refused with is what it said."""
    part = {"type": "refusal", "refusal": "No."}
    assert read(client, llm, {"role": "assistant", "content": [part]})["content"] == [
        {"type": "text", "text": "No."}
    ]
    spoken = read(client, llm, {"role": "assistant", "content": None, "refusal": "No."})
    assert spoken == {"role": "assistant", "content": "No."}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "a"}, ".role"),
        ({"role": "function", "content": "a"}, ".role"),
        ({"role": "user"}, ".content"),
        ({"role": "tool", "tool_call_id": 3, "content": "a"}, ".tool_call_id"),
        ({"role": "assistant", "tool_calls": "f"}, ".tool_calls"),
        ({"role": "assistant", "tool_calls": [{}]}, ".tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, ".tool_calls[0].function.name"),
        ({"role": "assistant", "tool_calls": [{"type": "mcp", "function": {"name": "a"}}]},
         ".tool_calls[0].type"),
        ({"role": "assistant", "function_call": {"name": "f"}}, ".function_call"),
        ({"role": "assistant", "audio": {"id": "x"}}, ".audio"),
        ({"role": "assistant", "reasoning_content": 1}, ".reasoning_content"),
        ({"role": "user", "content": [{"type": "text"}]}, ".content[0].text"),
        ({"role": "assistant", "content": [{"type": "refusal"}]}, ".content[0].refusal"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
         ".content[0].image_url.url"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": "x"}]},
         ".content[0].input_audio"),
        ({"role": "user", "content": [{"type": "image", "image": "picture.png"}]}, ".content[0]"),
    ],
)  # fmt: skip
def test_wrong_message_is_refused_by_its_path(
    client: httpx.Client, message: dict[str, Any], param: str
) -> None:
    """What is wrong with a message is named down to the member."""
    body = {"messages": [{"role": "user", "content": "Hi"}, message]}
    error = client.post(URL, json=body).json()["error"]
    assert error["code"] == 400
    assert error["param"] == f"messages[1]{param}"
    assert error["message"].strip()
