"""``/v1/responses``: what reaches the model, what comes back, and what is kept."""

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

URL = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
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
    call(1, "weather", '{"city": "Oslo"}'),
)


def post(client: httpx.Client, **options: Any) -> httpx.Response:
    return client.post(URL, json={"input": "Hi", **options})


def params(llm: FakeLlama) -> GenerationParams:
    return llm.generations[-1].params


def source(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt.source


def options(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt.options


@pytest.mark.parametrize("url", [URL, "/responses"])
def test_answer_has_openais_shape(client: httpx.Client, url: str) -> None:
    """An answer is one response object, which repeats what was asked for."""
    response = client.post(url, json={"input": "Hi", "metadata": {"a": "b"}, "user": "u"})
    answer = response.json()
    assert response.status_code == 200
    assert answer.pop("id").startswith("resp_")
    assert answer.pop("created_at") > 0
    assert answer["output"][0].pop("id").startswith("msg_")
    text = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    assert answer == {
        "object": "response",
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 200,
        "metadata": {"a": "b"},
        "model": "fake.gguf",
        "output": [
            {"type": "message", "role": "assistant", "status": "completed", "content": [text]}
        ],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 0.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 3,
        },
        "user": "u",
    }


def test_reasoning_text_and_calls_are_items(connect: ClientOf) -> None:
    """Each part of an answer is an item with an id of its kind, in the order in which it came."""
    answer = post(connect(FakeLlama(EVERYTHING))).json()
    ids = [item.pop("id") for item in answer["output"]]
    assert [item_id.split("_")[0] for item_id in ids] == ["rs", "msg", "fc", "fc"]
    reasoning, message, *calls = answer["output"]
    assert reasoning == {
        "type": "reasoning",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hmm"}],
    }
    assert message["content"][0]["text"] == "Let me look."
    assert [(item["call_id"], item["name"], item["arguments"]) for item in calls] == [
        ("call_0", "weather", '{"city": "Rome"}'),
        ("call_1", "weather", '{"city": "Oslo"}'),
    ]
    assert answer["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}


def test_stream_has_every_event_in_its_place(connect: ClientOf) -> None:
    """Items open, grow and close one after the other, and all events are numbered."""
    events = named_events(post(connect(FakeLlama(EVERYTHING)), stream=True).text)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(name == data["type"] for name, data in events)
    names = [(name.removeprefix("response."), data.get("output_index")) for name, data in events]
    text = [("content_part.done", 1), ("output_item.done", 1)]
    assert names == [
        ("created", None),
        ("in_progress", None),
        *[("output_item.added", 0), ("content_part.added", 0)],
        *[("reasoning_text.delta", 0), ("reasoning_text.delta", 0), ("reasoning_text.done", 0)],
        *[("content_part.done", 0), ("output_item.done", 0)],
        *[("output_item.added", 1), ("content_part.added", 1)],
        *[("output_text.delta", 1), ("output_text.delta", 1), ("output_text.done", 1), *text],
        ("output_item.added", 2),
        *[("function_call_arguments.delta", 2), ("function_call_arguments.delta", 2)],
        *[("function_call_arguments.done", 2), ("output_item.done", 2)],
        ("output_item.added", 3),
        ("function_call_arguments.delta", 3),
        *[("function_call_arguments.done", 3), ("output_item.done", 3)],
        ("completed", None),
    ]


def test_pieces_add_up_to_the_whole(connect: ClientOf) -> None:
    """Deltas, done events, done items and the last object tell the same."""
    events = named_events(post(connect(FakeLlama(EVERYTHING)), stream=True).text)
    final = events[-1][1]["response"]
    for index, item in enumerate(final["output"]):
        own = [data for _, data in events if data.get("output_index") == index]
        added, done = own[0]["item"], own[-1]["item"]
        assert added["status"] == "in_progress"
        assert added["id"] == done["id"] == item["id"]
        assert done == item
        joined = "".join(data["delta"] for data in own if data["type"].endswith(".delta"))
        whole = next(data for data in own if data["type"].endswith(("text.done", "ments.done")))
        assert joined == (whole["arguments"] if item["type"] == "function_call" else whole["text"])
        assert {data["item_id"] for data in own[1:-1]} == {item["id"]}


def same(answer: Any) -> Any:
    """Drop what two answers to one request never share."""
    for item in (answer, *answer["output"]):
        del item["id"]
    del answer["created_at"]
    return answer


@pytest.mark.parametrize("limit", [50, len(EVERYTHING)])
def test_stream_ends_with_the_object_of_an_answer_at_once(connect: ClientOf, limit: int) -> None:
    """The last event holds, field by field, what a request without stream returns."""
    client = connect(FakeLlama(EVERYTHING))
    request = {"max_output_tokens": limit, "tools": [WEATHER], "instructions": "Go."}
    streamed = named_events(post(client, **request, stream=True).text)[-1][1]["response"]
    assert same(streamed) == same(post(client, **request).json())


def test_limit_is_told(connect: ClientOf) -> None:
    """An answer that reached its limit is incomplete, as is the item in which it did."""
    client = connect(FakeLlama([OutputDelta(reasoning="hm"), "a"]))
    answer = post(client, max_output_tokens=2).json()
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in answer["output"]] == ["completed", "incomplete"]
    events = named_events(post(client, max_output_tokens=2, stream=True).text)
    assert events[-1][0] == "response.incomplete"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {}),
        ("none", {"tool_choice": "none"}),
        ("required", {"tool_choice": "required"}),
        (
            {"type": "function", "name": "weather"},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
    ],
)
def test_tools_reach_the_template(
    client: httpx.Client, llm: FakeLlama, choice: Any, expected: dict[str, Any]
) -> None:
    """Flat functions become those of chats, the choice keeps its meaning and is repeated."""
    answer = post(client, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False).json()
    names = ("name", "description", "parameters")
    function = {name: WEATHER[name] for name in names}
    assert options(llm) == {
        "tools": [{"type": "function", "function": function}],
        "parallel_tool_calls": False,
        **expected,
    }
    assert (answer["tools"], answer["tool_choice"]) == ([WEATHER], choice)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"format": {"type": "text"}}, {}),
        ({"format": {"type": "json_object"}}, {"json_schema": {"type": "object"}}),
        (
            {"format": {"type": "json_schema", "name": "n", "schema": {"type": "array"}}},
            {"json_schema": {"type": "array"}},
        ),
    ],
)
def test_format_reaches_the_template(
    client: httpx.Client, llm: FakeLlama, text: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A schema constrains the answer; JSON of any kind is an object."""
    assert post(client, text=text).json()["text"] == text
    assert options(llm) == expected


def test_other_options_reach_the_engine(client: httpx.Client, llm: FakeLlama) -> None:
    """Sampling parameters, the limit and the effort are honoured."""
    post(client, temperature=0.5, top_p=0.9, max_output_tokens=7.0, reasoning={"effort": "low"})
    assert (params(llm).sampling.temperature, params(llm).sampling.top_p) == (0.5, 0.9)
    assert params(llm).max_tokens == 7
    assert options(llm) == {"reasoning_effort": "low"}


def test_absent_fields_are_the_servers_defaults(client: httpx.Client, llm: FakeLlama) -> None:
    """What a request leaves out, or sets to null, is what the server was started with."""
    post(client, temperature=None, tools=None, text=None)
    assert params(llm) == llm.defaults
    assert options(llm) == {}


def test_count_is_the_prompts(client: httpx.Client, llm: FakeLlama) -> None:
    """Counting starts nothing."""
    body = {"input": "Hi", "instructions": "Be brief.", "max_output_tokens": 3}
    response = client.post(f"{URL}/input_tokens", json=body)
    assert response.json() == {"object": "response.input_tokens", "input_tokens": 2}
    assert not llm.generations


def test_failure_in_a_stream_is_told_with_what_there_is(connect: ClientOf) -> None:
    """A stream that fails ends with the object, its error, and the text so far."""
    llm = FakeLlama(["a", KeyError("secret")])
    response = post(connect(llm), stream=True)
    name, data = named_events(response.text)[-1]
    assert name == "response.failed"
    assert data["response"]["status"] == "failed"
    assert data["response"]["error"]["code"] == "server_error"
    (item,) = data["response"]["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "a")
    assert "secret" not in response.text
    assert llm.generations[0].was_aborted


@pytest.mark.parametrize(
    ("wanted", "n_top"),
    [
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 2}, 2),
        ({"top_logprobs": 2}, 2),
    ],
)
def test_log_probabilities_are_told(
    client: httpx.Client, llm: FakeLlama, wanted: dict[str, Any], n_top: int
) -> None:
    """Each token of the text has its log probability and the likeliest ones, streamed too."""
    answer = post(client, **wanted).json()
    assert params(llm).logprobs == n_top
    assert answer["top_logprobs"] == n_top
    told = answer["output"][0]["content"][0]["logprobs"]
    assert [len(entry["top_logprobs"]) for entry in told] == [n_top, n_top]
    assert all(entry.keys() >= {"token", "bytes", "logprob"} for entry in told)
    events = [data for _, data in named_events(post(client, **wanted, stream=True).text)]
    kind = "response.output_text."
    assert [
        e for data in events if data["type"] == f"{kind}delta" for e in data["logprobs"]
    ] == told
    assert [data["logprobs"] for data in events if data["type"] == f"{kind}done"] == [told]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == told


def test_log_probability_of_the_end_is_told(connect: ClientOf) -> None:
    """A token without text, such as the one that ends an answer, is in the list of the text."""
    client = connect(FakeLlama(["a", ""]))
    content = post(client, top_logprobs=1).json()["output"][0]["content"][0]
    assert content["text"] == "a"
    assert len(content["logprobs"]) == 2
