"""Streams, driven by hand: pings, clients that leave, and what ``close()`` does."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from typing import Any

import pytest

from pyllama.params import GenerationParams
from tests.support.fake_generation import FakeGeneration, FakeGenerations, FakePrompt, Step
from tests.support.fake_llama import FakeLlama
from wsgi.client import ClientGone, ClientWatch
from wsgi.openai.encode_chat import ChatEncoder
from wsgi.openai.encode_completion import CompletionEncoder
from wsgi.openai.parse_chat import parse_chat
from wsgi.openai.parse_completion import parse_completion
from wsgi.request_log import RequestRecord
from wsgi.streaming import EventStream
from wsgi.watched import Watched

MESSAGES = [{"role": "user", "content": "Hi"}]


def generation(*script: Step) -> FakeGeneration:
    return FakeGeneration(FakePrompt((1, 2)), GenerationParams(), script, "id")


def watched(made: FakeGeneration, connection: socket.socket | None = None) -> Watched:
    record = RequestRecord("rid", "POST")
    record.begin("id", 2)
    watch = ClientWatch({"gunicorn.socket": connection} if connection else {})
    return Watched(FakeGenerations([made]), watch, record)


def stream(made: FakeGeneration, connection: Any = None, *, ping_s: float = 15.0) -> EventStream:
    llm: Any = FakeLlama()
    request = parse_completion({"prompt": "a"}, llm)
    taken = watched(made, connection)
    encoder = CompletionEncoder(llm, request, request.make_prompts(llm), taken.generations)
    return EventStream(taken, encoder, ping_s=ping_s)


def test_silence_is_filled_with_pings() -> None:
    """While no token comes, comments keep proxies from closing the connection."""
    made = stream(generation(0.7, "late"), ping_s=0.0)
    items = list(made)
    assert items[0] == b": ping\n\n"
    assert b"late" in items[-1]


def test_no_ping_before_its_time() -> None:
    """A short silence is not filled."""
    assert not any(item.startswith(b":") for item in stream(generation(0.5, "late")))


def test_stream_is_silent_once_it_ended() -> None:
    """After the last bytes there is nothing, however often one asks."""
    made = stream(generation("a"))
    list(made)
    assert next(made, None) is None


def test_close_aborts_a_generation_that_runs() -> None:
    """A server that stops to write closes the stream, and that frees the slot."""
    inner = generation("a", 60.0, "b")
    made = stream(inner)
    next(made)
    made.close()
    assert inner.was_aborted
    assert next(made, None) is None


def test_close_of_a_stream_that_never_began_aborts_too() -> None:
    """A client that left before the first byte leaves no slot taken."""
    inner = generation("a")
    stream(inner).close()
    assert inner.was_aborted


def test_close_may_be_called_twice(caplog: pytest.LogCaptureFixture) -> None:
    """One log line, whoever closes."""
    made = stream(generation("a"))
    list(made)
    with caplog.at_level(logging.INFO, "pyllama.request"):
        made.close()
        made.close()
    assert len(caplog.records) == 1


def test_stream_of_a_client_that_left_ends(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves in the queue ends its stream without another byte."""
    server, client = pair
    inner = generation(60.0, "never")
    made = stream(inner, server)
    client.close()
    with caplog.at_level(logging.INFO, "pyllama.request"):
        assert list(made) == []
        made.close()
    assert inner.was_aborted
    assert "status=499" in caplog.text
    assert "finish=cancelled" in caplog.text


def test_stream_of_a_client_that_left_ends_while_tokens_flow(pair: Any) -> None:
    """The watch looks ten times a second while there is no silence."""
    server, client = pair
    script: list[Step] = ["a", 0.02] * 200
    made = stream(generation(*script), server)
    assert b'"a"' in next(made)
    client.close()
    assert len(list(made)) < 100


def test_collecting_notices_a_client_that_left(pair: Any) -> None:
    """An answer that is not streamed is given up too."""
    server, client = pair
    client.close()
    with pytest.raises(ClientGone):
        watched(generation(60.0), server).collect()


def test_collecting_waits_for_the_whole_text() -> None:
    """Silence ends no answer."""
    (completion,) = watched(generation("a", 0.3, "b", "")).collect()
    assert completion.text == "ab"


def test_last_text_and_end_are_one_write() -> None:
    """The last token does not wait for a write of its own."""
    items = list(stream(generation("a", "b")))
    assert len(items) == 2
    assert items[-1].endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("n_read", [0, 1, 9])
def test_a_stream_that_was_closed_is_gone_at_once(n_read: int) -> None:
    """What it held is free without the garbage collector, however much of it was read."""
    gc.disable()
    try:
        inner = generation("a", "b", "c")
        gone = weakref.ref(inner)
        made = stream(inner)
        for _ in range(n_read):
            next(made, None)
        made.close()
        del inner, made
        assert gone() is None
    finally:
        gc.enable()


def test_chat_stream_begins_before_the_first_token() -> None:
    """Headers and the role are sent while the request still waits."""
    llm: Any = FakeLlama()
    taken = watched(generation(60.0))
    encoder = ChatEncoder(llm, parse_chat({"messages": MESSAGES}, llm), taken.generations)
    made = EventStream(taken, encoder)
    assert b'"role":"assistant"' in next(made)
    made.close()
