"""Tools of chats that are no functions: custom ones, and those of hosted services."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.errors import InvalidRequest
from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events

URL = "/v1/chat/completions"
USER = {"role": "user", "content": "Hi"}
RUN = {"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a|b"}}
PATCH = {"type": "custom", "custom": {"name": "patch", "format": GRAMMAR}}


def call(index: int, arguments: str, name: str = "") -> OutputDelta:
    """A piece of a call; only the first has a name."""
    piece = ToolCallDelta(
        index=index, id=f"call_{index}" if name else "", name=name, arguments=arguments
    )
    return OutputDelta(tool_calls=(piece,))


def ask(client: httpx.Client, **fields: Any) -> httpx.Response:
    response = client.post(URL, json={"messages": [USER], **fields})
    assert response.status_code == 200, response.text
    return response


def shown(llm: FakeLlama) -> list[str]:
    """Return the names of the tools that the model was shown."""
    tools = llm.generations[-1].prompt.options.get("tools", ())
    return [tool["function"]["name"] for tool in tools]


@pytest.mark.parametrize("stream", [True, False])
def test_custom_tool_is_called_with_a_text(connect: ClientOf, *, stream: bool) -> None:
    """Its call has an input and no arguments, beside that of a function which is as ever."""
    llm = FakeLlama([call(0, '{"input": "a', "patch"), call(1, "{}", "run"), call(0, '\\nb"}')])
    answer = ask(connect(llm), tools=[RUN, PATCH], stream=stream)
    function = llm.generations[-1].prompt.options["tools"][1]["function"]
    assert function["parameters"]["properties"]["input"]["pattern"] == "^(?:a|b)$"
    if stream:
        deltas = [event["choices"][0]["delta"] for event in events(answer.text)[:-1]]
        calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        calls.sort(key=lambda one: one.pop("index"))
    else:
        calls = answer.json()["choices"][0]["message"]["tool_calls"]
    assert calls == [
        {"id": "call_0", "type": "custom", "custom": {"name": "patch", "input": "a\nb"}},
        {"id": "call_1", "type": "function", "function": {"name": "run", "arguments": "{}"}},
    ]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "ok"} for one in calls]
    ask(connect(llm), messages=[USER, said, *results], tools=[RUN, PATCH])
    made = llm.generations[-1].prompt.source[1]["tool_calls"]
    assert made[0]["function"] == {"name": "patch", "arguments": '{"input":"a\\nb"}'}


@pytest.mark.parametrize(
    "kind", ["web_search", "mcp", "code_interpreter", "live_search", "made_of_tomorrow"]
)
def test_hosted_tools_are_left_out(client: httpx.Client, llm: FakeLlama, kind: str) -> None:
    """Beside functions, or alone."""
    ask(client, tools=[{"type": kind}, RUN])
    assert shown(llm) == ["run"]
    ask(client, tools=[{"type": kind}])
    assert shown(llm) == []


def test_hosted_tools_of_ollamas_chats_are_left_out(client: httpx.Client, llm: FakeLlama) -> None:
    """The same in that dialect."""
    body = {"model": "fake", "messages": [USER], "tools": [{"type": "web_search"}, RUN]}
    assert client.post("/api/chat/ollama", json=body).status_code == 200
    assert shown(llm) == ["run"]


@pytest.mark.parametrize(
    ("choice", "names", "told"),
    [
        ({"type": "custom", "custom": {"name": "patch"}}, ["run", "patch"],
         {"type": "function", "function": {"name": "patch"}}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "custom", "custom": {"name": "patch"}}, {"type": "mcp"}]}},
         ["patch"], "required"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [RUN]}},
         ["run"], "auto"),
    ],
)  # fmt: skip
def test_choice_reaches_the_template(
    client: httpx.Client, llm: FakeLlama, choice: Any, names: list[str], told: Any
) -> None:
    """A custom tool can be demanded, and some of the tools allowed."""
    ask(client, tools=[RUN, {"type": "web_search"}, PATCH], tool_choice=choice)
    assert shown(llm) == names
    assert llm.generations[-1].prompt.options["tool_choice"] == told


def test_fault_is_named_where_the_client_wrote_it(
    client: httpx.Client, llm: FakeLlama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library finds wrong has the path in the body, those that are left out counted."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise InvalidRequest("tools[0].function.name is odd", param="tools[0].function.name")

    monkeypatch.setattr(llm, "chat_prompt", refuse)
    body = {"messages": [USER], "tools": [{"type": "web_search"}, PATCH]}
    error = client.post(URL, json=body).json()["error"]
    assert error["param"] == "tools[1].custom.name"
