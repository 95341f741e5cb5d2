"""Anthropic's bodies: how turns become messages, and what is refused, by its own path."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.errors import EngineError, InvalidRequest, InvalidResponse, QueueFull
from pyllama.field_names import rename
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf, client_of
from tests.wsgi.sse import named_events
from wsgi.partial import tool_input

URL = "/v1/messages"
USER = {"role": "user", "content": "Hi"}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
IMAGE_SOURCE = {"type": "base64", "data": "aGk="}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Köln"}}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def result(content: Any, **members: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", "content": content, **members}


def converted(messages: list[Any], **options: Any) -> Any:
    """Return what the model was asked to continue."""
    llm = FakeLlama()
    body = {"max_tokens": 5, "messages": messages, **options}
    response = client_of(llm).post(URL, json=body)
    assert response.status_code == 200, response.text
    return llm.generations[-1].prompt.source


def refused(body: dict[str, Any]) -> str:
    """Return the message of a refusal."""
    response = client_of(FakeLlama()).post(URL, json={"max_tokens": 5, **body})
    answer = response.json()
    assert response.status_code == 400, response.text
    assert answer["type"] == "error"
    assert answer["error"]["type"] == "invalid_request_error"
    message: str = answer["error"]["message"]
    return message


def test_system_comes_first() -> None:
    """The system prompt is a message; several blocks of it are parts."""
    assert converted([USER], system="Be brief.")[0] == {"role": "system", "content": "Be brief."}
    parts = [text("Be brief."), {**text("Be kind."), "cache_control": {"type": "ephemeral"}}]
    content = [text("Be brief."), text("Be kind.")]
    assert converted([USER], system=parts) == [{"role": "system", "content": content}, USER]


def test_checksum_of_a_client_does_not_spoil_the_prefix() -> None:
    """A header whose checksum changes with each request reads the same each time."""
    header = "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch={};You are"
    systems = [converted([USER], system=header.format(value))[0] for value in ("a5145", "0b77")]
    assert systems[0] == systems[1]
    assert "cc_entrypoint=cli" in systems[0]["content"]


def test_neighbours_of_one_role_are_one_turn() -> None:
    """Templates that want roles to alternate get what they want."""
    messages = [
        USER,
        {"role": "user", "content": [text("there")]},
        {"role": "assistant", "content": [text("a"), text("b")]},
        {"role": "system", "content": "Stop."},
    ]
    assert converted(messages) == [
        {"role": "user", "content": [text("Hi"), text("there")]},
        {"role": "assistant", "content": "ab"},
        {"role": "system", "content": "Stop."},
    ]


def test_calls_and_results_are_openais() -> None:
    """A turn with thinking, text, a call and its result keeps all of it."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    answer = [thinking, {"type": "redacted_thinking", "data": "x"}, text("Wait."), USE]
    messages = [
        USER,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": [result([text("sunny")]), text("And?")]},
    ]
    call = {"name": "weather", "arguments": '{"city":"Köln"}'}
    assert converted(messages, tools=[TOOL]) == [
        USER,
        {
            "role": "assistant",
            "content": "Wait.",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "t1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "t1", "name": "weather", "content": "sunny"},
        {"role": "user", "content": "And?"},
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("no such city", "Error: no such city"),
        ([text("a"), text("b")], [text("Error:"), text("a"), text("b")]),
        (None, "Error: "),
    ],
)
def test_failed_tool_says_so_in_words(content: Any, expected: Any) -> None:
    """The model reads that a tool failed, though OpenAI's form has no field for it."""
    messages = [
        USER,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [result(content, is_error=True)]},
    ]
    source = converted(messages)
    assert source[1]["content"] is None
    assert source[2]["content"] == expected
    assert len(source) == 3


def test_last_turn_of_the_assistant_is_continued() -> None:
    """A prefill is the last message, as the template takes it."""
    prefill = {"role": "assistant", "content": "The answer is ("}
    assert converted([USER, prefill]) == [USER, prefill]


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ({}, "messages is missing"),
        ({"messages": []}, "messages must not be empty"),
        ({"messages": [USER], "max_tokens": None}, "max_tokens is missing"),
        ({"messages": [USER], "max_tokens": 0}, "max_tokens must be at least 1"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role must be"),
        ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text is missing",
        ),
        (
            {"messages": [USER, {"role": "user", "content": [{"type": "image", "source": {}}]}]},
            "messages[1].content[0].source.type is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [USE]}]},
            "messages[0].content[0].type 'tool_use' is not supported",
        ),
        (
            {"messages": [{"role": "user", "content": [result("x")]}]},
            "messages[0].content[0].tool_use_id names no tool_use",
        ),
        (
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": [USE]},
                    {"role": "user", "content": [result([{"type": "document"}])]},
                ]
            },
            "messages[2].content[0].content[0].source is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]},
            "messages[0].content[0].type 'search_result' is not supported in user content",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "x"}}],
                    }
                ]
            },
            "messages[0].content[0].source.type must be 'base64' or 'url', not 'file'",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "document", "source": {"type": "base64"}}],
                    }
                ]
            },
            "messages[0].content[0].source.type must be 'text', not 'base64'",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "image", "source": IMAGE_SOURCE}]}
                ]
            },
            "messages[0].content[0].type 'image' is not supported in assistant content",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [USE]}]},
            "messages must go on after the tool_use blocks",
        ),
        ({"messages": [USER], "system": [{"type": "image"}]}, "system[0].text is missing"),
        ({"messages": [USER], "tools": [{"name": "x"}]}, "tools[0].input_schema is missing"),
        ({"messages": [USER], "tool_choice": {"type": "any"}}, "tool_choice 'any' needs tools"),
        (
            {"messages": [USER], "tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}},
            "tool_choice.name must be the name of one of the tools",
        ),
        (
            {"messages": [USER], "tools": [TOOL], "tool_choice": {"type": "tool"}},
            "tool_choice.name is missing",
        ),
        ({"messages": [USER], "thinking": {"type": "enabled"}}, "thinking.budget_tokens is missin"),
        ({"messages": [USER], "thinking": {"type": "hard"}}, "thinking.type must be"),
        ({"messages": [USER], "stop_sequences": [""]}, "stop_sequences strings must not"),
        ({"messages": [USER], "compaction": {"type": "summary"}}, "compaction is not supported"),
        (
            {"messages": [USER], "thread": {"type": "continue", "previous_message_id": "m"}},
            "thread.type must be 'create', not 'continue'",
        ),
    ],
)
def test_refusal_names_the_field(body: dict[str, Any], start: str) -> None:
    """What is wrong is named by its path in the caller's own body."""
    assert refused(body).startswith(start)


def test_unknown_fields_are_ignored(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """A field of another dialect is logged once and does nothing."""
    body = {"max_tokens": 5, "messages": [USER], "frobnicate": 1}
    with caplog.at_level(logging.WARNING, "pyllama.wsgi"):
        statuses = [client.post(URL, json=body).status_code for _ in range(2)]
    assert statuses == [200, 200]
    assert caplog.text.count("'frobnicate'") == 1


def test_refusal_by_the_template_names_the_callers_field(
    connect: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library refuses in the messages made here is told by the path in the body."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise InvalidRequest("messages[2].content is odd", param="messages[2].content")

    llm = FakeLlama()
    monkeypatch.setattr(llm, "chat_prompt", refuse)
    body = {
        "max_tokens": 5,
        "system": "s",
        "messages": [USER, {"role": "assistant", "content": "x"}],
    }
    message = connect(llm).post(URL, json=body).json()["error"]["message"]
    assert message == "messages[1].content is odd"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tools[0].function.parameters.type", "tools[0].input_schema.type"),
        ("tools[0].function.name", "tools[0].name"),
        ("tools[01]", "tools[01]"),
        ("messages", "messages"),
    ],
)
def test_longest_known_beginning_is_renamed(path: str, expected: str) -> None:
    """A path is translated by the most exact rule that there is, or left alone."""
    names = {
        "tools[0].function": "tools[0]",
        "tools[0].function.parameters": "tools[0].input_schema",
    }
    assert rename(path, names) == expected


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (QueueFull("full", retry_after_s=2), 429, "rate_limit_error"),
        (EngineError("it failed"), 500, "api_error"),
        (InvalidResponse("no JSON"), 422, "api_error"),
        (KeyError("secret"), 500, "api_error"),
    ],
)
def test_errors_have_anthropics_shape(
    connect: ClientOf, failure: Exception, status: int, kind: str
) -> None:
    """Every failure is in Anthropic's words, before a stream as in it."""
    body = {"max_tokens": 5, "messages": [USER]}
    response = connect(FakeLlama(start_error=failure)).post(URL, json=body)
    assert response.status_code == status
    assert response.json().keys() == {"type", "error"}
    assert response.json()["error"]["type"] == kind
    llm = FakeLlama(["a", failure])
    events = named_events(connect(llm).post(URL, json={**body, "stream": True}).text)
    assert events[-1][0] == "error"
    assert events[-1][1]["error"]["type"] == kind
    assert "secret" not in json.dumps(events)
    assert llm.generations[0].was_aborted


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", URL, 405, "invalid_request_error"),
        ("GET", f"{URL}/nothing", 404, "not_found_error"),
    ],
)
def test_falcons_own_errors_have_the_shape_too(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    """No answer under the dialect's paths has another shape of error."""
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["type"] == "error"
    assert response.json()["error"]["type"] == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(max_size=3), JSON), data=st.data())
def test_cut_json_is_read_as_the_public_client_reads_it(
    value: dict[str, Any], data: st.DataObject
) -> None:
    """What is whole in a cut text is the same, whether a client follows the stream or not."""
    document = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cut = document[: data.draw(st.integers(1, len(document)))]
    assert tool_input(cut) == jiter.from_json(cut.encode(), partial_mode=True)
    assert tool_input(document) == value
