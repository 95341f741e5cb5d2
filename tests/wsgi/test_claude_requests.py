"""Requests of the kind that Claude Code sends: hosted services beside tools of its own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama

URL = "/v1/messages"
EPHEMERAL = {"cache_control": {"type": "ephemeral"}}
PATH_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
WRITE = {"name": "Write", "description": "Writes a file.", "input_schema": PATH_SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def claude(**fields: Any) -> dict[str, Any]:
    """Return a request such as Claude Code's."""
    text = {"type": "text", "text": "Write a file.", **EPHEMERAL}
    return {
        "model": "local",
        "max_tokens": 32000,
        "system": [{"type": "text", "text": "You write files.", **EPHEMERAL}],
        "messages": [
            {"role": "user", "content": [text]},
            {"role": "system", "content": "There are helpers."},
        ],
        "tools": [WRITE],
        "metadata": {"user_id": "u"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high", "task_budget": {"type": "tokens", "total": 9}},
        **fields,
    }


def shown(llm: FakeLlama) -> list[str]:
    """Return the names of the tools that the model was shown."""
    tools = llm.generations[-1].prompt.options.get("tools", ())
    return [tool["function"]["name"] for tool in tools]


@pytest.mark.parametrize("stream", [True, False])
def test_claude_codes_request_is_answered(
    client: httpx.Client, llm: FakeLlama, *, stream: bool
) -> None:
    """All its advice beside a tool of its own; the prompt has what is content."""
    beta = {"anthropic-beta": "context-management-2025-06-27,effort-2025-11-24"}
    body = claude(stream=stream)
    answer = client.post(f"{URL}?beta=true", json=body, headers=beta)
    assert answer.status_code == 200
    prompt = llm.generations[-1].prompt
    assert shown(llm) == ["Write"]
    assert prompt.options["reasoning_effort"] == "high"
    assert prompt.options["enable_thinking"] is True
    assert [message["role"] for message in prompt.source] == ["system", "user", "system"]
    counted = {name: body[name] for name in ("model", "messages", "tools", "system", "thinking")}
    assert client.post(f"{URL}/count_tokens?beta=true", json=counted).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_20250305",
        "web_fetch_20260318",
        "code_execution_20260521",
        "bash_20250124",
        "text_editor_20250728",
        "memory_20250818",
        "computer_20251124",
        "tool_search_tool_bm25_20251119",
        "mcp_toolset",
        "advisor_20260301",
        "made_20991231",
    ],
)
def test_hosted_tool_of_anthropics_is_left_out(
    client: httpx.Client, llm: FakeLlama, kind: str
) -> None:
    """Beside own tools or alone it is passed over; what stands behind it keeps its own path."""
    hosted = {"type": kind, "name": "x"} if kind != "mcp_toolset" else {"type": kind}
    assert client.post(URL, json=claude(tools=[hosted, WRITE])).status_code == 200
    assert shown(llm) == ["Write"]
    assert client.post(URL, json=claude(tools=[hosted])).status_code == 200
    assert shown(llm) == []
    wrong = {"name": "b", "input_schema": 1}
    refused = client.post(URL, json=claude(tools=[hosted, wrong]))
    assert refused.json()["error"]["message"].startswith("tools[1].input_schema must be")


@pytest.mark.parametrize(
    ("choice", "start"),
    [
        ({"type": "any"}, "tool_choice 'any' needs tools of the caller's own"),
        ({"type": "tool", "name": "web_search"}, "tool_choice.name 'web_search' is of type"),
    ],
)
def test_choice_of_a_hosted_tool_is_refused_by_name(
    client: httpx.Client, choice: Any, start: str
) -> None:
    """A call that must be made of what is not there cannot be passed over."""
    response = client.post(URL, json=claude(tools=[SEARCH], tool_choice=choice))
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert message.startswith(start)
    assert "web_search_20250305" in message


def test_traces_of_hosted_tools_are_left_out(client: httpx.Client, llm: FakeLlama) -> None:
    """A conversation that was had elsewhere goes on; what was said in it stays."""
    answer = [
        {"type": "compaction", "content": "Before: much."},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "Found.", **EPHEMERAL},
        {"type": "tool_use", "id": "t", "name": "Write", "input": {}, **EPHEMERAL},
    ]
    reference = {"type": "tool_reference", "tool_name": "Write"}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [reference], **EPHEMERAL}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": [result]},
    ]
    assert client.post(URL, json=claude(messages=messages)).status_code == 200
    _, _, said, told = llm.generations[-1].prompt.source
    assert said["content"] == "Before: much.Found."
    assert told == {"role": "tool", "tool_call_id": "t", "name": "Write", "content": "Write"}


def test_first_name_of_the_output_format_is_honoured(client: httpx.Client, llm: FakeLlama) -> None:
    """It holds the answer to the same schema."""
    form = {"type": "json_schema", "schema": {"type": "object"}}
    body = {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    assert client.post(URL, json={**body, "output_format": form}).status_code == 200
    assert llm.generations[-1].prompt.options["json_schema"] == {"type": "object"}
