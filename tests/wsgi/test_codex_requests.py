"""Requests of the kind that Codex sends: hosted services beside tools of its own."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import named_events
from wsgi import ignored

URL = "/v1/responses"
PATH_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
RUN = {"type": "function", "name": "run", "strict": False, "parameters": PATH_SCHEMA}
PATCH = {
    "type": "custom",
    "name": "patch",
    "description": "Changes files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
}
GROUP = {
    "type": "namespace",
    "name": "agents",
    "description": "More hands.",
    "tools": [{**RUN, "name": "spawn", "description": "Begins one."}, {**RUN, "name": "stop"}],
}
FIND = {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}
HOSTED: list[dict[str, Any]] = [
    {"type": "web_search", "external_web_access": True},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "local_shell"},
    {"type": "mcp", "server_label": "x", "server_url": "https://example.org", "tools": 3},
    {"type": "tool_search"},
    {"type": "file_search", "vector_store_ids": ["v"]},
    {"type": "made_of_tomorrow"},
]


def codex(**fields: Any) -> dict[str, Any]:
    """Return a request such as Codex's."""
    said = {"type": "input_text", "text": "Write a file."}
    return {
        "model": "local",
        "stream": True,
        "input": [
            {"type": "message", "id": "msg_1", "role": "developer", "content": [said]},
            {"type": "message", "id": "msg_2", "role": "user", "content": [said]},
        ],
        "tools": [RUN, GROUP, {"type": "web_search"}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "ultra", "summary": "auto", "context": "all_turns"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "text": {"verbosity": "low"},
        "truncation": "auto",
        "max_tool_calls": 3,
        "client_metadata": {"session": "s"},
        **fields,
    }


def shown(llm: FakeLlama) -> list[str]:
    """Return the names of the tools that the model was shown."""
    tools = llm.generations[-1].prompt.options.get("tools", ())
    return [tool["function"]["name"] for tool in tools]


def calling(name: str, *arguments: str) -> FakeLlama:
    """Return a model that calls a tool."""
    pieces = [
        ToolCallDelta(index=0, id="" if i else "call_1", name="" if i else name, arguments=piece)
        for i, piece in enumerate(arguments)
    ]
    return FakeLlama([OutputDelta(tool_calls=(piece,)) for piece in pieces])


def test_codexs_request_is_answered(client: httpx.Client, llm: FakeLlama) -> None:
    """All its advice, and a group of tools beside its own; the last event has the whole answer."""
    answer = client.post(URL, json=codex())
    assert answer.status_code == 200
    assert shown(llm) == ["run", "agents__spawn", "agents__stop"]
    (first, second) = llm.generations[-1].prompt.options["tools"][1:]
    assert first["function"]["description"] == "More hands.\n\nBegins one."
    assert "description" not in second["function"]
    name, event = named_events(answer.text)[-1]
    assert name == "response.completed"
    assert event["response"]["prompt_cache_key"] == "k"


@pytest.mark.parametrize("tool", HOSTED, ids=lambda tool: tool["type"])
def test_hosted_tool_of_openais_is_left_out(
    client: httpx.Client, llm: FakeLlama, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, tool: dict[str, Any],
) -> None:  # fmt: skip
    """Beside functions or alone it is passed over with one line; a call of it is refused."""
    monkeypatch.setattr(ignored, "_tools", ignored.Names())
    with caplog.at_level(logging.WARNING, "pyllama.wsgi"):
        assert client.post(URL, json=codex(tools=[tool, RUN])).status_code == 200
        assert shown(llm) == ["run"]
        assert client.post(URL, json=codex(tools=[tool])).status_code == 200
        assert shown(llm) == []
    assert caplog.text.count(f"tools of type {tool['type']!r} are left out") == 1
    needed = client.post(URL, json=codex(tools=[tool], tool_choice="required"))
    assert needed.status_code == 400
    assert repr(tool["type"]) in needed.json()["error"]["message"]
    if tool["type"] != "tool_search":
        choice = {"type": tool["type"]}
        chosen = client.post(URL, json=codex(tools=[tool, RUN], tool_choice=choice))
        assert chosen.json()["error"]["param"] == "tool_choice.type"


def test_call_in_a_namespace_names_both(connect: ClientOf) -> None:
    """The item has the tool's own name and that of its group, and comes back as it was called."""
    llm = calling("agents__spawn", '{"path"', ': "a"}')
    client = connect(llm)
    events = named_events(client.post(URL, json=codex()).text)
    item = events[-1][1]["response"]["output"][0]
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "spawn", "agents")
    done = dict(events)["response.function_call_arguments.done"]
    assert (done["name"], done["arguments"]) == ("spawn", '{"path": "a"}')
    output = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
    body = codex()
    body["input"] += [item, output]
    assert client.post(URL, json=body).status_code == 200
    called, answered = llm.generations[-1].prompt.source[-2:]
    assert called["tool_calls"][0]["function"]["name"] == "agents__spawn"
    assert answered["name"] == "agents__spawn"


def test_long_names_of_a_namespace_are_cut(client: httpx.Client, llm: FakeLlama) -> None:
    """What the model calls has at most 64 letters, and the tool's own name is whole."""
    group = {**GROUP, "name": "g" * 60}
    assert client.post(URL, json=codex(tools=[group])).status_code == 200
    assert shown(llm) == [f"{'g' * 57}__spawn", f"{'g' * 58}__stop"]


@pytest.mark.parametrize("stream", [True, False])
def test_custom_tool_is_called_with_a_text(connect: ClientOf, *, stream: bool) -> None:
    """The model is told the grammar; its call is an item of the tool's kind, and goes back."""
    llm = calling("patch", '{"input": "a\\n', 'b"}')
    client = connect(llm)
    answer = client.post(URL, json=codex(tools=[PATCH], stream=stream))
    (tool,) = llm.generations[-1].prompt.options["tools"]
    assert 'lark:\nstart: "x"' in tool["function"]["description"]
    assert tool["function"]["parameters"]["required"] == ["input"]
    if stream:
        events = named_events(answer.text)
        told = dict(events)
        assert told["response.custom_tool_call_input.delta"]["delta"] == "a\nb"
        assert told["response.custom_tool_call_input.done"]["input"] == "a\nb"
        assert told["response.output_item.added"]["item"]["input"] == ""
        assert not any("function_call" in name for name, _ in events)
        item = told["response.output_item.done"]["item"]
    else:
        item = answer.json()["output"][0]
    assert item["id"].startswith("ctc_")
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", "a\nb")
    output = {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "ok"}
    body = codex(tools=[PATCH])
    body["input"] += [item, output]
    assert client.post(URL, json=body).status_code == 200
    function = llm.generations[-1].prompt.source[-2]["tool_calls"][0]["function"]
    assert function == {"name": "patch", "arguments": '{"input":"a\\nb"}'}


def test_regular_expression_holds_an_input(client: httpx.Client, llm: FakeLlama) -> None:
    """A grammar in that syntax is a pattern of the whole text."""
    form = {"type": "grammar", "syntax": "regex", "definition": "a|b"}
    assert client.post(URL, json=codex(tools=[{**PATCH, "format": form}])).status_code == 200
    (tool,) = llm.generations[-1].prompt.options["tools"]
    assert tool["function"]["parameters"]["properties"]["input"]["pattern"] == "^(?:a|b)$"


def test_search_for_tools_is_the_clients(connect: ClientOf) -> None:
    """Its call is an item of its kind; what it found can be called from then on."""
    llm = calling("tool_search", '{"query": "files"}')
    client = connect(llm)
    events = named_events(client.post(URL, json=codex(tools=[FIND])).text)
    item = events[-1][1]["response"]["output"][0]
    assert (item["type"], item["execution"]) == ("tool_search_call", "client")
    assert item["arguments"] == {"query": "files"}
    found = {
        "type": "tool_search_output",
        "execution": "client",
        "call_id": item["call_id"],
        "tools": [{**GROUP, "tools": [*GROUP["tools"], {"type": "mcp"}]}, {**RUN, "name": "read"}],
    }
    more = {"type": "additional_tools", "role": "developer", "tools": [RUN, PATCH]}
    body = codex(tools=[FIND, RUN])
    body["input"] += [item, found, more]
    assert client.post(URL, json=body).status_code == 200
    names = ["tool_search", "run", "agents__spawn", "agents__stop", "read", "patch"]
    assert shown(llm) == names
    told = llm.generations[-1].prompt.source[-1]
    assert told["role"] == "tool"
    assert "agents__stop" in told["content"]


def test_items_of_other_tools_come_back(client: httpx.Client, llm: FakeLlama) -> None:
    """Calls that a client ran are calls; what a hosted service did, or encrypted, is left out."""
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
        {"type": "local_shell_call", "id": "a", "call_id": "c1", "status": "completed",
         "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "local_shell_call_output", "id": "c1", "output": "files"},
        {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "files"}]},
        {"type": "apply_patch_call", "call_id": "c3", "operation": {"type": "delete_file"}},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "completed"},
        {"type": "tool_search_call", "arguments": {}, "execution": "server", "call_id": None},
        {"type": "tool_search_output", "tools": [], "execution": "server", "call_id": None},
        {"type": "message", "role": "developer", "content": "Go on."},
    ]  # fmt: skip
    body = codex()
    body["input"] += items
    assert client.post(URL, json=body).status_code == 200
    messages = llm.generations[-1].prompt.source[2:]
    assert [message["role"] for message in messages] == [*["assistant", "tool"] * 3, "developer"]
    names = [message["name"] for message in messages if message["role"] == "tool"]
    assert names == ["local_shell", "shell", "apply_patch"]
    assert [message["content"] for message in messages[1:6:2]] == [
        "files",
        '[{"stdout":"files"}]',
        "completed",
    ]


@pytest.mark.parametrize(
    ("mode", "tools", "names", "choice"),
    [
        ("auto", [{"type": "function", "name": "run"}], ["run"], None),
        ("required", [{"type": "custom", "name": "patch"}], ["patch"], "required"),
        ("auto", [{"type": "function", "name": "agents__stop"}], ["agents__stop"], None),
        ("auto", [{"type": "web_search"}], [], None),
    ],
)
def test_allowed_tools_are_the_only_ones(
    client: httpx.Client, llm: FakeLlama, mode: str, tools: Any, names: Any, choice: Any
) -> None:
    """The model is shown those, in the order of the tools."""
    allowed = {"type": "allowed_tools", "mode": mode, "tools": tools}
    given = [RUN, PATCH, GROUP, {"type": "web_search"}]
    response = client.post(URL, json=codex(tools=given, tool_choice=allowed))
    assert response.status_code == 200
    assert shown(llm) == names
    assert llm.generations[-1].prompt.options.get("tool_choice") == choice


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "custom", "name": "run"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "tool_search", "name": 3}}, "tool_choice.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [
                {"type": "function", "name": "run"}, {"type": "function", "name": "x"}]}},
            "tool_choice.tools[1].name",
        ),
        ({"tools": [{**PATCH, "format": {"type": "grammar", "syntax": "abnf"}}]},
         "tools[0].format.definition"),
        ({"tools": [{**GROUP, "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "x"}]}, "input[0].input"),
        ({"input": [{"type": "local_shell_call", "call_id": "c"}]}, "input[0].action"),
        ({"input": [{"type": "shell_call_output", "output": []}]}, "input[0].call_id"),
        ({"input": [{"type": "local_shell_call_output", "output": ""}]}, "input[0].id"),
        ({"input": [{"type": "tool_search_output", "call_id": "c"}]}, "input[0].tools"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(
    client: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    """Wrong tools, choices and items are refused by their path in the body."""
    response = client.post(URL, json=codex(**fields))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
