"""The page's chat: its events, what they are made of, and what is refused before the first."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from pyllama.errors import Draining, EngineError
from pyllama.results import QueuePlace, ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_generation import FakeGenerations, Step
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events

HI = {"role": "user", "content": "Hi"}
CALL = ToolCallDelta(index=0, id="call_1", name="f", arguments='{"a": ')
REST = ToolCallDelta(index=0, id="", name="", arguments="[1]}")
THOUGHT: tuple[Step, ...] = (
    OutputDelta(reasoning="Hm"),
    OutputDelta(reasoning="m"),
    "Yes",
    OutputDelta(tool_calls=(CALL,)),
    OutputDelta(tool_calls=(REST,)),
    "",
)
FIGURES = {
    "tokenCount": 2,
    "elapsed": 0.03,
    "tokPerSec": pytest.approx(66.67, abs=0.01),
    "aborted": False,
    "error": None,
    "finishReason": "stop",
    "promptTokens": 1,
    "kvReusedTokens": 1,
    "kvReusePercent": 100.0,
    "queued": 0.005,
    "ttft": 0.015,
    "sessionId": "__default__",
    "model": "fake.gguf",
}


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/api/chat", json={"messages": [HI], **body})


def told(client: httpx.Client, **body: Any) -> list[Any]:
    response = ask(client, **body)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-cache"
    return events(response.text)


def test_tokens_come_one_by_one_and_figures_last(client: httpx.Client) -> None:
    """The first event names the answer, the last one tells what it cost."""
    head, *tokens, done = told(client)
    assert head.keys() == {"messageId", "model", "sessionId"}
    assert tokens == [{"token": "Hel"}, {"token": "lo"}]
    assert done["done"] is True
    assert {name: done[name] for name in FIGURES} == FIGURES
    assert done["messageId"] == head["messageId"]
    assert done["timings"]["predicted_n"] == 2


def test_reasoning_and_calls_have_events_of_their_own(connect: ClientOf) -> None:
    """A call is told once it is whole, with its arguments as an object."""
    _, *pieces, done = told(connect(FakeLlama(THOUGHT)), think=True)
    assert pieces == [
        {"thinking": "Hm"},
        {"thinking": "m"},
        {"token": "Yes"},
        {"tool_calls": [{"id": "call_1", "name": "f", "arguments": {"a": [1]}}]},
    ]
    assert done["finishReason"] == "tool_calls"


@pytest.mark.parametrize("think", [True, False])
def test_whole_answers_are_what_streams_tell(connect: ClientOf, *, think: bool) -> None:
    """Without a stream the same parts come as one object, and the same figures."""
    _, *pieces, done = told(connect(FakeLlama(THOUGHT)), think=think)
    whole = ask(connect(FakeLlama(THOUGHT)), think=think, stream=False).json()
    for name, whole_name in (("token", "content"), ("thinking", "thinking")):
        assert whole.pop(whole_name) == "".join(piece.get(name, "") for piece in pieces)
    assert whole.pop("tool_calls") == [call for x in pieces for call in x.get("tool_calls", ())]
    assert whole.pop("role") == "assistant"
    assert whole.pop("messageId") != done.pop("messageId")
    assert whole == done


def test_reasoning_that_nobody_asked_for_is_hidden(connect: ClientOf) -> None:
    """Without `think` the model is told not to reason; if it does all the same, nobody is told."""
    llm = FakeLlama(THOUGHT)
    pieces = told(connect(llm))
    assert not any("thinking" in piece for piece in pieces)
    assert llm.generations[0].prompt.options["enable_thinking"] is False


def test_place_in_the_queue_is_told_while_it_waits(
    connect: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and again after each second of silence; then no more."""
    places = [QueuePlace(position=2, n_waiting=3), QueuePlace(position=1, n_waiting=1), None, None]
    monkeypatch.setattr(FakeGenerations, "queue_place", property(lambda _: places.pop(0)))
    monkeypatch.setattr("wsgi.webui.chat.QUEUE_S", 0.1)
    _, first, second, *rest = told(connect(FakeLlama([0.7, "late"])))
    assert first == {"queue_position": 2, "queue_pending": 3}
    assert second == {"queue_position": 1, "queue_pending": 1}
    assert [next(iter(event)) for event in rest] == ["token", "done"]


@pytest.mark.parametrize(
    ("failure", "kind", "is_aborted"),
    [
        (EngineError("it broke"), "server_error", False),
        (Draining("the server is shutting down"), "unavailable_error", True),
    ],
)
def test_failures_on_the_way_are_the_last_event(
    connect: ClientOf, failure: Exception, kind: str, *, is_aborted: bool
) -> None:
    """It has the reason, its class, and what was computed until then."""
    *_, token, done = told(connect(FakeLlama(["a", failure])))
    assert token == {"token": "a"}
    assert (done["done"], done["error"], done["errorType"]) == (True, str(failure), kind)
    assert (done["aborted"], done["tokenCount"]) == (is_aborted, 1)
    assert done["finishReason"] is None


def test_failures_before_the_first_event_are_statuses(connect: ClientOf) -> None:
    """What is refused at once has a status, and a body that tells why."""
    client = connect(FakeLlama(start_error=Draining("the server is shutting down")))
    response = ask(client)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert response.json() == {
        "ok": False,
        "error": "the server is shutting down",
        "type": "unavailable_error",
        "param": None,
        "code": 503,
    }


def test_both_spellings_reach_the_sampler(client: httpx.Client, llm: FakeLlama) -> None:
    """Every parameter has its place, and both of its names."""
    camel = {"topK": 5, "topP": 0.5, "minP": 0.1, "repetitionPenalty": 1.1}
    camel |= {"presencePenalty": 0.2, "frequencyPenalty": 0.3}
    snake = {"top_k": 5, "top_p": 0.5, "min_p": 0.1, "repetition_penalty": 1.1}
    snake |= {"presence_penalty": 0.2, "frequency_penalty": 0.3}
    rest = {"maxTokens": 7.0, "temperature": 0.9, "seed": 3, "stop": ["x"]}
    for body in (camel, snake):
        told(client, **body, **rest)
    first, second = (generation.params for generation in llm.generations)
    assert first == second
    assert (first.max_tokens, first.stop, first.cache_prompt) == (7, ("x",), True)
    sampling = first.sampling
    assert (sampling.top_k, sampling.top_p, sampling.min_p) == (5, 0.5, 0.1)
    assert (sampling.temperature, sampling.seed, sampling.repeat_penalty) == (0.9, 3, 1.1)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.2, 0.3)


def test_a_new_chat_is_computed_anew(client: httpx.Client, llm: FakeLlama) -> None:
    """Nothing of an earlier prompt is reused where the page says that it starts afresh."""
    told(client, newChat=True)
    assert llm.generations[0].params.cache_prompt is False


def test_conversations_go_to_the_template_whole(client: httpx.Client, llm: FakeLlama) -> None:
    """Thoughts, calls and results of former turns are told, with tools and a schema."""
    call = {"id": "c1", "name": "f", "arguments": {"a": 1}}
    messages = [
        {"role": "system", "content": "Be brief."},
        HI,
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [call]},
        {"role": "tool", "content": "2", "toolCallId": "c1"},
    ]
    tool = {"function": {"name": "f", "parameters": {"type": "object"}}}
    told(client, messages=messages, tools=[tool], jsonSchema={"type": "object"}, think=True)
    prompt = llm.generations[0].prompt
    function = {"name": "f", "arguments": '{"a":1}'}
    assert prompt.source == [
        {"role": "system", "content": "Be brief."},
        HI,
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]
    assert prompt.options == {
        "enable_thinking": True,
        "tools": [{"type": "function", **tool}],
        "json_schema": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "x", "content": "a"}]}, "messages[0].role"),
        ({"topP": 2}, "topP"),
        ({"repetitionPenalty": 0}, "repetitionPenalty"),
        ({"maxTokens": "5"}, "maxTokens"),
        ({"topK": 1, "top_k": 2}, "topK"),
        ({"stop": "x"}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"backend": "cuda"}, "backend"),
        ({"think": "high"}, "think"),
    ],
)
def test_wrong_fields_are_named(client: httpx.Client, body: dict[str, Any], param: str) -> None:
    """A 400 in JSON names the field as the page spells it."""
    response = ask(client, **body)
    assert response.status_code == 400
    assert response.json()["param"] == param
    assert param in response.json()["error"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_bodies_that_are_no_object_are_refused(client: httpx.Client, content: bytes) -> None:
    """They are a 400 in JSON, whoever sent them."""
    response = client.post("/api/chat", content=content)
    assert response.status_code == 400
    assert response.json()["ok"] is False


def test_a_body_with_a_model_is_ollamas(client: httpx.Client) -> None:
    """The same path answers Ollama's clients in lines of JSON, and the page in events."""
    ollama = ask(client, model="fake")
    assert ollama.headers["Content-Type"] == "application/x-ndjson"
    assert orjson.loads(ollama.text.splitlines()[0])["message"]["content"] == "Hel"
    assert ask(client, model="").headers["Content-Type"] == "text/event-stream"
    assert ask(client, model=["x"]).status_code == 400


def test_sessions_come_and_go(client: httpx.Client) -> None:
    """A session is known until it is deleted; the page is told when it is not."""
    made = client.post("/api/sessions").json()
    session_id = made["sessionId"]
    assert len(session_id) == 32
    assert made["createdAt"].endswith("Z")
    assert told(client, sessionId=session_id)[-1]["sessionId"] == session_id
    deleted = client.delete(f"/api/sessions/{session_id}")
    assert deleted.json() == {"ok": True, "sessionId": session_id}
    for response in (
        ask(client, sessionId=session_id),
        client.delete(f"/api/sessions/{session_id}"),
    ):
        assert response.status_code == 404
        assert response.json()["ok"] is False
        assert f"Session '{session_id}' not found" in response.json()["error"]


def test_the_default_session_stays(client: httpx.Client) -> None:
    """It may be named or not, and cannot be deleted."""
    response = client.delete("/api/sessions/__default__")
    assert response.status_code == 400
    assert response.json()["error"] == "Cannot dispose the default session."
    assert told(client, sessionId="__default__")[-1]["done"] is True


def test_the_queue_tells_what_runs_and_waits(client: httpx.Client) -> None:
    """What the engine counts, under the names of the contract."""
    assert client.get("/api/queue/status").json() == {
        "busy": False,
        "pending_requests": 0,
        "total_processed": 8,
        "running_requests": 0,
        "slots": 4,
    }
