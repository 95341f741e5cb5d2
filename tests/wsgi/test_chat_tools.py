"""Tools, reasoning and forms of answers: what reaches the chat template, and what comes back."""

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
MESSAGES = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}

CALLS = (
    OutputDelta(reasoning="Which "),
    OutputDelta(reasoning="cities?"),
    OutputDelta(content="Let me see."),
    OutputDelta(tool_calls=(ToolCallDelta(index=0, id="call_a", name="weather", arguments=""),)),
    OutputDelta(tool_calls=(ToolCallDelta(index=0, id="", name="", arguments='{"city": '),)),
    OutputDelta(
        tool_calls=(
            ToolCallDelta(index=0, id="", name="", arguments='"Rome"}'),
            ToolCallDelta(index=1, id="call_b", name="weather", arguments='{"city": "Oslo"}'),
        )
    ),
)


def options(client: httpx.Client, llm: FakeLlama, **body: Any) -> dict[str, Any]:
    """Return what the chat template is told for a body."""
    response = client.post(URL, json={"messages": MESSAGES, **body})
    assert response.status_code == 200, response.text
    return dict(llm.generations[-1].prompt.options)


def refused(client: httpx.Client, **body: Any) -> str:
    """Return the field for which a body is refused."""
    response = client.post(URL, json={"messages": MESSAGES, **body})
    assert response.status_code == 400
    param: str = response.json()["error"]["param"]
    assert param in response.json()["error"]["message"]
    return param


def test_calls_are_in_the_message(connect: ClientOf) -> None:
    """An answer with calls has them with ids and arguments, and its reasoning beside the text."""
    client = connect(FakeLlama(CALLS))
    choice = client.post(URL, json={"messages": MESSAGES, "tools": [WEATHER]}).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning_content": "Which cities?",
        "tool_calls": [
            {
                "id": "call_a",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
            },
            {
                "id": "call_b",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
            },
        ],
    }


def test_content_is_null_beside_calls(connect: ClientOf) -> None:
    """A message that only calls has no content; one that says nothing at all has an empty one."""
    called = connect(FakeLlama(CALLS[3:])).post(URL, json={"messages": MESSAGES}).json()
    silent = connect(FakeLlama([""])).post(URL, json={"messages": MESSAGES}).json()
    assert called["choices"][0]["message"]["content"] is None
    assert silent["choices"][0]["message"]["content"] == ""


def test_calls_are_streamed_piece_by_piece(connect: ClientOf) -> None:
    """Each chunk has one thing: reasoning, text, or a piece of one call, named in its first."""
    body = {"messages": MESSAGES, "tools": [WEATHER], "stream": True}
    *chunks, _ = events(connect(FakeLlama(CALLS)).post(URL, json=body).text)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": None},
        {"reasoning_content": "Which "},
        {"reasoning_content": "cities?"},
        {"content": "Let me see."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_b",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                }
            ]
        },
        {},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("choice", ["auto", "none", "required", NAMED])
def test_tools_reach_the_template(client: httpx.Client, llm: FakeLlama, choice: Any) -> None:
    """Tools go on as they are, the choice among them too."""
    told = options(client, llm, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
    assert told == {"tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": False}


def test_tool_without_a_type_is_a_function(client: httpx.Client, llm: FakeLlama) -> None:
    """The one kind of tools that there is need not be named."""
    assert options(client, llm, tools=[{"function": WEATHER["function"]}])["tools"] == [WEATHER]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {}, "function": {"name": "a"}}]},
         "tools[0].custom.name"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "x"}}]}}},
         "tool_choice.allowed_tools.tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"function": {"name": "a", "parameters": []}}]},
         "tools[0].function.parameters"),
        ({"tools": [WEATHER], "tool_choice": "always"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": NAMED, "tools": []}, "tool_choice"),
        ({"functions": [WEATHER["function"]]}, "functions"),
        ({"function_call": {"name": "weather"}}, "function_call"),
    ],
)  # fmt: skip
def test_tools_that_cannot_be_are_refused(
    client: httpx.Client, body: dict[str, Any], param: str
) -> None:
    """Wrong tools and choices are refused by their path, the old spelling with what replaced it."""
    assert refused(client, **body) == param


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"type": "text"}, {}),
        ({"type": "json_object"}, {"json_schema": {"type": "object"}}),
        ({"type": "json_object", "schema": SCHEMA}, {"json_schema": SCHEMA}),
        ({"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}},
         {"json_schema": SCHEMA}),
        ({"type": "json_schema", "name": "x", "schema": SCHEMA}, {"json_schema": SCHEMA}),
        ({"type": "text", "json_schema": None, "schema": None}, {}),
        ({"type": "json_object", "json_schema": None, "schema": None},
         {"json_schema": {"type": "object"}}),
        ({"type": "json_schema", "json_schema": None, "schema": SCHEMA}, {"json_schema": SCHEMA}),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}, "schema": None},
         {"json_schema": SCHEMA}),
    ],
)  # fmt: skip
def test_response_format_reaches_the_template(
    client: httpx.Client, llm: FakeLlama, wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    """Every spelling of a form ends as the schema that the answer is held to."""
    assert options(client, llm, response_format=wanted) == told


def test_llama_servers_forms_reach_the_template(client: httpx.Client, llm: FakeLlama) -> None:
    """A schema or a grammar may be given by itself; an empty grammar asks for nothing."""
    assert options(client, llm, json_schema={}) == {"json_schema": {}}
    assert options(client, llm, json_schema=SCHEMA, grammar="") == {"json_schema": SCHEMA}
    assert options(client, llm, grammar="root ::= [a]") == {"grammar": "root ::= [a]"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
         "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_object"}, "grammar": "root ::= [a]"}, "grammar"),
        ({"response_format": {"type": "json_object"}, "json_schema": {}}, "json_schema"),
        ({"grammar": "root ::= [a]", "json_schema": {}}, "grammar"),
    ],
)  # fmt: skip
def test_forms_that_cannot_be_are_refused(
    client: httpx.Client, body: dict[str, Any], param: str
) -> None:
    """A form that is incomplete, unknown, or at odds with another is refused by its path."""
    assert refused(client, **body) == param


def test_fault_in_a_schema_is_named_where_the_client_wrote_it(connect: ClientOf) -> None:
    """What the library finds in a schema is told by the path in the body."""

    class Strict(FakeLlama):
        def chat_prompt(self, messages: Any, **_options: Any) -> Any:
            raise InvalidRequest("no such type", param="json_schema.properties.a")

    schema = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    client = connect(Strict())
    path = "response_format.json_schema.schema.properties.a"
    assert (
        client.post(URL, json={"messages": MESSAGES, "response_format": schema}).json()["error"][
            "param"
        ]
        == path
    )
    plain = client.post(URL, json={"messages": MESSAGES, "json_schema": SCHEMA}).json()
    assert plain["error"]["param"] == "json_schema.properties.a"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"reasoning_format": "deepseek"}, {"reasoning_format": "deepseek"}),
        ({"enable_thinking": False}, {"enable_thinking": False}),
        ({"think": True}, {"enable_thinking": True}),
        ({"reasoning_budget_tokens": 0}, {"reasoning_budget": 0}),
        ({"thinking_budget_tokens": 100}, {"reasoning_budget": 100}),
        ({"continue_final_message": True}, {"continue_final_message": True}),
        ({"continue_final_message": "content"}, {"continue_final_message": "content"}),
        ({"chat_template_kwargs": {"enable_thinking": False}},
         {"template_kwargs": {"enable_thinking": False}}),
    ],
)  # fmt: skip
def test_reasoning_and_continuation_reach_the_template(
    client: httpx.Client, llm: FakeLlama, body: dict[str, Any], told: dict[str, Any]
) -> None:
    """Each field goes on by the library's name for it, and nothing that was not sent."""
    assert options(client, llm, **body) == told


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"reasoning_format": "loud"}, "reasoning_format"),
        ({"thinking_budget_tokens": -2}, "thinking_budget_tokens"),
        ({"thinking_budget_tokens": 1, "reasoning_budget_tokens": 2}, "reasoning_budget_tokens"),
        ({"think": True, "enable_thinking": False}, "enable_thinking"),
        ({"continue_final_message": "thoughts"}, "continue_final_message"),
        (
            {"continue_final_message": True, "add_generation_prompt": True},
            "continue_final_message",
        ),
    ],
)
def test_reasoning_that_cannot_be_is_refused(
    client: httpx.Client, body: dict[str, Any], param: str
) -> None:
    """Unknown values and names that contradict each other are refused."""
    assert refused(client, **body) == param


@pytest.mark.parametrize("url", [URL, "/chat/completions"])
def test_tokens_of_a_chat_are_counted(connect: ClientOf, url: str) -> None:
    """The count is that of the prompt, and nothing is generated."""
    llm = FakeLlama()
    body = {"messages": MESSAGES * 3, "tools": [WEATHER]}
    answer = connect(llm).post(f"{url}/input_tokens", json=body).json()
    assert answer == {"object": "response.input_tokens", "input_tokens": 3}
    assert llm.generations == []
