"""Messages: what is refused, by its path, and what stands in for what a template cannot say."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from pyllama.errors import InvalidRequest
from pyllama.media import MediaReader
from pyllama.text import messages as chat_messages

USER = {"role": "user", "content": "Hi"}
# llama-common takes the square of an object's members to read it.
WIDE = json.dumps({"a": [dict.fromkeys(map(str, range(1001)))]})
CALL = {"type": "function", "id": "c1", "function": {"name": "f", "arguments": '{"a": "ü"}'}}


def checked(messages: Any) -> list[dict[str, Any]]:
    """Check messages for a model that takes text only."""
    return chat_messages.checked(messages, MediaReader(cast("Any", None)).begin())


def assistant(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", **more}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": [5]}, ".content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, ".content[0].text"),
        ({"role": "user", "content": "x", "name": 5}, ".name"),
        ({"role": "user", "content": "x", "tool_calls": []}, ".tool_calls"),
        ({"role": "tool", "content": "x", "name": "f" * (chat_messages.MAX_NAME + 1)}, ".name"),
        ({"role": "tool"}, ".content"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, ".tool_call_id"),
        (assistant(), ""),
        (assistant(content=None), ""),
        (assistant(reasoning_content=5), ".reasoning_content"),
        (assistant(tool_calls="x"), ".tool_calls"),
        (assistant(tool_calls=[5]), ".tool_calls[0].type"),
        (assistant(tool_calls=[{**CALL, "type": "x"}]), ".tool_calls[0].type"),
        (assistant(tool_calls=[{"function": 5}]), ".tool_calls[0].function"),
        (assistant(tool_calls=[{"function": {}}]), ".tool_calls[0].function.name"),
        (assistant(tool_calls=[{**CALL, "id": 5}]), ".tool_calls[0].id"),
        (
            assistant(tool_calls=[{"function": {"name": "f", "arguments": 5}}]),
            ".tool_calls[0].function.arguments",
        ),
        (
            assistant(tool_calls=[{"function": {"name": "f", "arguments": WIDE}}]),
            ".tool_calls[0].function.arguments",
        ),
    ],
)
def test_a_malformed_message_is_refused(message: Any, param: str) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        checked([USER, message])
    assert caught.value.param == f"messages[1]{param}"


@pytest.mark.parametrize("messages", ["x", {}, None])
def test_messages_are_a_list(messages: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidRequest) as caught:
        checked(messages)
    assert caught.value.param == "messages"


def test_what_clients_leave_out_is_filled_in() -> None:
    """Null members are as missing; a call's type and empty arguments are added."""
    call = {"function": {"name": "f", "arguments": ""}, "id": None}
    first, second = checked(
        [
            assistant(content=None, tool_calls=[call], name=None),
            assistant(reasoning_content="hm", tool_calls=[]),
        ]
    )
    function = {"name": "f", "arguments": "{}"}
    assert first == assistant(tool_calls=[{"type": "function", "function": function}])
    assert second == assistant(content="", reasoning_content="hm")


def test_calls_can_be_text() -> None:
    """For templates without tools a call and its result become text, nothing else changes."""
    result = {"role": "tool", "content": [{"type": "text", "text": "1"}], "tool_call_id": "c1"}
    found = chat_messages.without_calls(
        [USER, assistant(content="Wait.", tool_calls=[CALL]), result]
    )
    assert found[0] == USER
    assert found[1]["content"] == (
        'Wait.\n<tool_call>\n{"name": "f", "arguments": {"a": "ü"}}\n</tool_call>'
    )
    assert found[2] == {"role": "user", "content": "<tool_response>\n1\n</tool_response>"}


@pytest.mark.parametrize(
    ("system", "wanted"),
    [("Be nice.", "Be nice.\n\nTools."), ([{"type": "text", "text": "x"}], None), (None, "Tools.")],
)
def test_a_description_goes_into_the_system_prompt(system: Any, wanted: str | None) -> None:
    """It ends the system prompt, of whatever form that is, or is one."""
    messages = [USER] if system is None else [{"role": "system", "content": system}, USER]
    found = chat_messages.described(messages, "Tools.")
    assert [message["role"] for message in found] == ["system", "user"]
    if wanted is None:
        assert chat_messages.plain_text(found[0]["content"]) == "x\nTools."
    else:
        assert found[0]["content"] == wanted


def test_members_that_no_template_reads_are_left_out() -> None:
    """What nobody asked for costs nothing further on, however much of it there is."""
    more = dict.fromkeys(map(str, range(5000)), "x")
    part = {"type": "text", "text": "Hi", **more}
    found = checked([{**USER, **more}, {"role": "user", "content": [part]}])
    assert found == [USER, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
