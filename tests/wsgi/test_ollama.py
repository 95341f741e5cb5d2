"""Ollama's ``/api/generate`` and ``/api/chat``: what reaches the model, and what comes back."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from pyllama.errors import EngineError, QueueFull
from pyllama.results import QueuePlace, ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_generation import FIRST_TOKEN, FakeGenerations
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.ollama import answering

GENERATE, CHAT = "/api/generate", "/api/chat/ollama"
MESSAGES = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, dict[str, Any]] = {
    GENERATE: {"model": "fake", "prompt": "Hi"},
    CHAT: {"model": "fake", "messages": MESSAGES},
}
WEATHER = {"function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
FIGURES = {
    "total_duration": 35_000_000,
    "load_duration": 0,
    "prompt_eval_count": 1,
    "prompt_eval_duration": 10_000_000,
    "eval_count": 2,
    "eval_duration": 20_000_000,
    "prompt_cache_hit_tokens": 1,
    "prompt_cache_hit_ratio": 1.0,
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
CALLS = [
    {"id": f"call_{i}", "function": {"index": i, "name": "weather", "arguments": {"city": city}}}
    for i, city in enumerate(("Rome", "Oslo"))
]


def whole(client: httpx.Client, path: str, **options: Any) -> Any:
    response = client.post(path, json={**ASKED[path], "stream": False, **options})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return untimed(response.json())


def streamed(client: httpx.Client, path: str, **options: Any) -> list[Any]:
    response = client.post(path, json={**ASKED[path], **options})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [untimed(json.loads(line)) for line in response.text.splitlines()]


def untimed(told: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its time, which is one in UTC with seven decimals."""
    if "error" not in told:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", told.pop("created_at"))
    return told


def folded(lines: list[Any]) -> Any:
    """Put the lines of a stream together, as a client does."""
    *pieces, last = lines
    assert all(piece["done"] is False for piece in pieces)
    parts = [line.get("message", line) for line in lines]
    name = "content" if "message" in last else "response"
    made: dict[str, Any] = {name: "".join(part[name] for part in parts)}
    if thinking := "".join(part.get("thinking", "") for part in parts):
        made["thinking"] = thinking
    if calls := [call for part in parts for call in part.get("tool_calls", [])]:
        made["tool_calls"] = calls
    if logprobs := [item for line in lines for item in line.get("logprobs", [])]:
        last["logprobs"] = logprobs
    if "message" in last:
        return {**last, "message": {"role": "assistant", **made}}
    return {**last, **made}


def test_text_has_ollamas_shape(client: httpx.Client) -> None:
    """An answer has the text, the figures, and the tokens that a next request may go on after."""
    assert whole(client, GENERATE) == {
        "model": "fake.gguf",
        "response": "Hello",
        "done": True,
        "done_reason": "stop",
        "context": [0, FIRST_TOKEN, FIRST_TOKEN + 1],
        **FIGURES,
    }


def test_chat_has_ollamas_shape(client: httpx.Client) -> None:
    """An answer has the message and the figures."""
    assert whole(client, CHAT) == {
        "model": "fake.gguf",
        "message": {"role": "assistant", "content": "Hello"},
        "done": True,
        "done_reason": "stop",
        **FIGURES,
    }


def test_stream_is_what_is_asked_for_without_a_word(client: httpx.Client) -> None:
    """Each piece is a line of its own; the last line has the figures and no text."""
    assert streamed(client, GENERATE) == [
        {"model": "fake.gguf", "response": "Hel", "done": False},
        {"model": "fake.gguf", "response": "lo", "done": False},
        {**whole(client, GENERATE), "response": ""},
    ]
    first, *_, last = streamed(client, CHAT)
    assert first["message"] == {"role": "assistant", "content": "Hel"}
    assert last["message"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("path", [GENERATE, CHAT])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"think": True},
        {"think": "low", "logprobs": True, "top_logprobs": 2},
        {"options": {"num_predict": 2}},
        {"format": "json"},
    ],
)
def test_stream_says_what_the_whole_answer_says(
    connect: ClientOf, path: str, options: dict[str, Any]
) -> None:
    """Field by field: text, thoughts, log probabilities, reason and figures."""
    client = connect(FakeLlama(EVERYTHING[:4]))
    assert folded(streamed(client, path, **options)) == whole(client, path, **options)


def test_streamed_calls_are_those_of_the_whole_answer(connect: ClientOf) -> None:
    """Calls come as soon as they are whole, before the last line, and once."""
    client = connect(FakeLlama(EVERYTHING))
    options = {"think": True, "tools": [WEATHER]}
    lines = streamed(client, CHAT, **options)
    answer = whole(client, CHAT, **options)
    assert folded(lines) == answer
    assert answer["message"] == {
        "role": "assistant",
        "content": "Let me look.",
        "thinking": "hmm",
        "tool_calls": CALLS,
    }
    assert answer["done_reason"] == "tool_calls"
    assert "tool_calls" not in lines[-1]["message"]
    assert [line["message"]["tool_calls"] for line in lines[-3:-1]] == [[one] for one in CALLS]


def test_cut_call_has_what_is_whole_of_it(connect: ClientOf) -> None:
    """A call that the limit cut is an object all the same."""
    llm = FakeLlama((call(0, "weather", '{"city": "Rome", "day": "Mo'),))
    answer = whole(connect(llm), CHAT, options={"num_predict": 1}, tools=[WEATHER])
    assert answer["done_reason"] == "length"
    (told,) = answer["message"]["tool_calls"]
    assert told["function"]["arguments"] == {"city": "Rome"}


@pytest.mark.parametrize("path", [GENERATE, CHAT])
@pytest.mark.parametrize("think", [{}, {"think": False}])
def test_thoughts_are_hidden_unless_asked_for(
    connect: ClientOf, path: str, think: dict[str, Any]
) -> None:
    """Without think the template is told not to, and a model that does is not shown doing it."""
    llm = FakeLlama(EVERYTHING[:4])
    client = connect(llm)
    assert "hm" not in str(whole(client, path, **think))
    assert "hm" not in str(streamed(client, path, **think))
    assert llm.generations[-1].prompt.options["enable_thinking"] is False


@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_level_of_thinking_reaches_the_template(
    client: httpx.Client, llm: FakeLlama, path: str
) -> None:
    """A level turns thinking on, and is handed on."""
    whole(client, path, think="high")
    options = llm.generations[-1].prompt.options
    assert options == {"enable_thinking": True, "reasoning_effort": "high"}
    whole(client, path, think=True)
    assert llm.generations[-1].prompt.options == {"enable_thinking": True}


@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_form_reaches_the_sampler(client: httpx.Client, llm: FakeLlama, path: str) -> None:
    """A schema is a schema, "json" any object, and an empty string nothing."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    for given, wanted in (("json", {"type": "object"}), (schema, schema)):
        whole(client, path, format=given)
        assert llm.generations[-1].prompt.options["json_schema"] == wanted
    whole(client, path, format="")
    assert "json_schema" not in llm.generations[-1].prompt.options


def test_limit_is_named(connect: ClientOf) -> None:
    """An answer that was cut says so."""
    answer = whole(connect(FakeLlama(["a"] * 3)), GENERATE, options={"num_predict": 3})
    assert answer["done_reason"] == "length"
    assert answer["eval_count"] == 3


def test_log_probabilities_are_told(client: httpx.Client) -> None:
    """Each token has its own, and as many others as are asked for."""
    answer = whole(client, CHAT, logprobs=True, top_logprobs=2)
    assert [item["token"] for item in answer["logprobs"]] == ["Hel", "lo"]
    assert [len(item["top_logprobs"]) for item in answer["logprobs"]] == [2, 2]


@pytest.mark.parametrize(
    ("path", "nothing", "empty"),
    [
        (GENERATE, {"prompt": ""}, {"response": ""}),
        (CHAT, {"messages": []}, {"message": {"role": "assistant", "content": ""}}),
    ],
)
@pytest.mark.parametrize("keep_alive", [0, "0", "5m", -1])
def test_nothing_asked_is_answered_by_the_loaded_model(
    client: httpx.Client, llm: FakeLlama, path: str, nothing: Any, empty: Any, keep_alive: Any
) -> None:
    """Nothing is generated; the model is loaded, also where it was to be unloaded."""
    wanted = {"model": "fake.gguf", **empty, "done": True, "done_reason": "load"}
    assert whole(client, path, **nothing, keep_alive=keep_alive) == wanted
    assert streamed(client, path, **nothing, keep_alive=keep_alive) == [wanted]
    assert not llm.generations


def test_prompt_may_be_absent(client: httpx.Client) -> None:
    """A body with a model alone asks for the model to be loaded."""
    response = client.post(GENERATE, json={"model": "fake"})
    assert response.json()["done_reason"] == "load"


@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_place_in_the_queue_is_told_while_it_is_one(
    connect: ClientOf, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It comes first, in lines without text, and a silence later on is no line at all."""
    places = [QueuePlace(position=2, n_waiting=3), QueuePlace(position=1, n_waiting=1)]
    monkeypatch.setattr(
        FakeGenerations, "queue_place", property(lambda _: places.pop(0) if places else None)
    )
    monkeypatch.setattr(answering, "QUEUE_S", 0.0)
    lines = streamed(connect(FakeLlama([0.75, "Hi"])), path)
    assert not places
    waiting = [line for line in lines if "queue_position" in line]
    assert lines[:2] == waiting
    assert [(line["queue_position"], line["queue_pending"]) for line in waiting] == [(2, 3), (1, 1)]
    empty = {"message": {"role": "assistant", "content": ""}} if path == CHAT else {"response": ""}
    assert all({**line, **empty, "done": False} == line for line in waiting)
    assert len(lines) == 4


@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_failure_is_the_last_line_of_a_stream(connect: ClientOf, path: str) -> None:
    """What came before it stays; nothing comes after it."""
    client = connect(FakeLlama(["Hel", EngineError("the engine failed")]))
    first, last = streamed(client, path)
    assert first["done"] is False
    assert last == {"error": "the engine failed"}


@pytest.mark.parametrize("stream", [True, False])
def test_refusal_of_the_engine_is_a_status(connect: ClientOf, stream: bool) -> None:  # noqa: FBT001
    """What is refused is refused before anything streams, in Ollama's shape."""
    client = connect(FakeLlama(start_error=QueueFull("the queue is full", retry_after_s=2)))
    response = client.post(CHAT, json={**ASKED[CHAT], "stream": stream})
    assert (response.status_code, response.json()) == (429, {"error": "the queue is full"})
    assert response.headers["Retry-After"] == "2"


def test_both_paths_of_chats_are_one(client: httpx.Client) -> None:
    """Ollama's own path answers a body that names a model like the one of the contract."""
    told = client.post("/api/chat", json={**ASKED[CHAT], "stream": False})
    assert untimed(told.json()) == whole(client, CHAT)
