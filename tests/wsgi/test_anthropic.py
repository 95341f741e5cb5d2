"""``POST /v1/messages``: what reaches the model, and what comes back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.params import GenerationParams
from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import named_events

URL = "/v1/messages"
MESSAGES = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def call(index: int, name: str, arguments: str) -> OutputDelta:
    """A piece of a tool call; only the first piece has an id and a name."""
    piece = ToolCallDelta(
        index=index, id=f"call_{index}" if name else "", name=name, arguments=arguments
    )
    return OutputDelta(tool_calls=(piece,))


EVERYTHING = (
    OutputDelta(reasoning="hm"),
    OutputDelta(reasoning="m"),
    "Let me ",
    "look.",
    call(0, "weather", '{"city"'),
    call(0, "", ': "Rome"}'),
    call(1, "weather", ""),
    call(1, "", '{"city": "Oslo"}'),
)


def post(client: httpx.Client, **options: Any) -> httpx.Response:
    return client.post(URL, json={"messages": MESSAGES, "max_tokens": 100, **options})


def params(llm: FakeLlama) -> GenerationParams:
    return llm.generations[-1].params


def source(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt.source


def options(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt.options


def test_answer_has_anthropics_shape(client: httpx.Client) -> None:
    """An answer is one message object, without timings; cached tokens are counted apart."""
    response = post(client)
    answer = response.json()
    assert response.status_code == 200
    assert answer.pop("id").startswith("msg_")
    assert answer == {
        "type": "message",
        "role": "assistant",
        "model": "fake.gguf",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 1,
            "output_tokens": 2,
        },
    }


def test_thinking_text_and_calls_are_blocks(connect: ClientOf) -> None:
    """Each part of an answer is a block, in the order in which it came."""
    answer = post(connect(FakeLlama(EVERYTHING))).json()
    thinking, *others = answer["content"]
    assert thinking["thinking"] == "hmm"
    assert thinking["signature"]
    assert others == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Rome"}},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
    ]
    assert answer["stop_reason"] == "tool_use"


def test_stream_has_every_event_in_its_place(connect: ClientOf) -> None:
    """Blocks open, grow and close one after the other, between the message's start and end."""
    response = post(connect(FakeLlama(EVERYTHING)), stream=True)
    events = named_events(response.text)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert all(name == data["type"] for name, data in events)
    kinds = [
        (data["type"].removeprefix("content_block_"), data.get("index")) for _, data in events[1:-2]
    ]
    assert kinds == [
        *[("start", 0), ("delta", 0), ("delta", 0), ("delta", 0), ("stop", 0)],
        *[("start", 1), ("delta", 1), ("delta", 1), ("stop", 1)],
        *[("start", 2), ("delta", 2), ("delta", 2), ("stop", 2)],
        *[("start", 3), ("delta", 3), ("stop", 3)],
    ]
    deltas = [data["delta"] for name, data in events if name == "content_block_delta"]
    signature = deltas.pop(2)
    assert signature["type"] == "signature_delta"
    assert deltas == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "text_delta", "text": "Let me "},
        {"type": "text_delta", "text": "look."},
        {"type": "input_json_delta", "partial_json": '{"city"'},
        {"type": "input_json_delta", "partial_json": ': "Rome"}'},
        {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'},
    ]
    assert events[-1][1] == {"type": "message_stop"}


def test_stream_begins_and_ends_with_counted_tokens(connect: ClientOf) -> None:
    """The start says how much of the prompt was cached, the end how much was generated."""
    events = named_events(post(connect(FakeLlama(["a", "b"])), stream=True).text)
    start, end = events[0][1], events[-2][1]
    assert start["type"] == "message_start"
    assert start["message"]["content"] == []
    assert start["message"]["stop_reason"] is None
    assert start["message"]["usage"]["cache_read_input_tokens"] == 1
    assert end["type"] == "message_delta"
    assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert end["usage"]["output_tokens"] == 2


def test_empty_answer_has_no_block(connect: ClientOf) -> None:
    """A model that says nothing gives an empty list, streamed too."""
    client = connect(FakeLlama([""]))
    assert post(client).json()["content"] == []
    names = [name for name, _ in named_events(post(client, stream=True).text)]
    assert names == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("limit", "n_tokens", "reason"),
    [(2, 2, "max_tokens"), (3, 2, "end_turn")],
)
def test_limit_is_told(connect: ClientOf, limit: int, n_tokens: int, reason: str) -> None:
    """An answer that reached max_tokens says so."""
    client = connect(FakeLlama(["a"] * n_tokens))
    assert post(client, max_tokens=limit).json()["stop_reason"] == reason


def test_matched_stop_sequence_is_told(connect: ClientOf) -> None:
    """The caller learns which of its strings ended the answer; one of the template's is no such."""
    llm = FakeLlama()
    llm.stop_sequence = "END"
    client = connect(llm)
    answer = post(client, stop_sequences=["FIN", "END"]).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "END")
    assert params(llm).stop == ("FIN", "END")
    answer = post(client, stop_sequences=["FIN"]).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)


def test_call_that_was_cut_has_what_is_whole(connect: ClientOf) -> None:
    """An input that max_tokens cut holds the values that are complete."""
    client = connect(FakeLlama([call(0, "weather", '{"city": "Rome", "day": "Mo')]))
    (block,) = post(client, max_tokens=5).json()["content"]
    assert block["input"] == {"city": "Rome"}


def test_thinking_can_be_omitted(connect: ClientOf) -> None:
    """``display: omitted`` leaves the signature of the thinking only."""
    client = connect(FakeLlama([OutputDelta(reasoning="hm"), "x"]))
    thinking = {"type": "enabled", "budget_tokens": 10, "display": "omitted"}
    block = post(client, thinking=thinking).json()["content"][0]
    assert block["thinking"] == ""
    assert block["signature"]
    assert '"hm' not in post(client, thinking=thinking, stream=True).text


def test_sampling_options_reach_the_engine(client: httpx.Client, llm: FakeLlama) -> None:
    """Anthropic's parameters are the engine's."""
    post(client, temperature=0.5, top_p=0.9, top_k=7.0, metadata={"user_id": "u"})
    sampling = params(llm).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
    assert params(llm).max_tokens == 100


def test_absent_fields_are_the_servers_defaults(client: httpx.Client, llm: FakeLlama) -> None:
    """What a request leaves out is what the server was started with."""
    post(client, max_tokens=200)
    assert params(llm) == llm.defaults
    assert options(llm) == {}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            {
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_tools_reach_the_template(
    client: httpx.Client, llm: FakeLlama, choice: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Tools become OpenAI's functions, and the choice keeps its meaning."""
    assert post(client, tools=[WEATHER], tool_choice=choice).status_code == 200
    function = {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": WEATHER["input_schema"],
    }
    assert options(llm) == {"tools": [{"type": "function", "function": function}], **expected}


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (
            {"type": "enabled", "budget_tokens": 50},
            {"enable_thinking": True, "reasoning_budget": 50},
        ),
        ({"type": "adaptive"}, {"enable_thinking": True}),
        ({"type": "disabled"}, {"enable_thinking": False}),
    ],
)
def test_thinking_reaches_the_template(
    client: httpx.Client, llm: FakeLlama, thinking: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Thinking is turned on with its budget, or off."""
    post(client, thinking=thinking)
    assert options(llm) == expected


def test_output_config_reaches_the_template(client: httpx.Client, llm: FakeLlama) -> None:
    """A schema constrains the answer, and the effort is the template's."""
    schema = {"type": "object"}
    post(
        client, output_config={"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    )
    assert options(llm) == {"reasoning_effort": "low", "json_schema": schema}


def test_count_is_the_prompts(client: httpx.Client, llm: FakeLlama) -> None:
    """Counting needs no max_tokens and starts nothing."""
    body = {"system": "Be brief.", "messages": MESSAGES, "tools": [WEATHER]}
    response = client.post(f"{URL}/count_tokens", json=body)
    assert response.json() == {"input_tokens": 2}
    assert not llm.generations


@pytest.mark.parametrize("stream", [True, False])
def test_slot_is_freed_after_an_answer(
    client: httpx.Client, llm: FakeLlama, *, stream: bool
) -> None:
    """A whole answer closes its generation, and aborts nothing; the engine knows its id."""
    response = post(client, stream=stream)
    assert llm.generations[-1].is_over.is_set()
    assert not llm.generations[-1].was_aborted
    assert llm.generations[-1].request_id in response.text
