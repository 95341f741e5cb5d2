"""Bodies of very many values: what lets no other thread run is done for one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from pyllama.interruption import Interruptible
from tests.wsgi.test_bodies import request
from wsgi import body, turns
from wsgi.openai.parse_chat import CHAT_FIELDS
from wsgi.turns import has_many, turn

N_MESSAGES = 64_000
ASKED = {"role": "user", "content": "x"}
CALL = {"name": "look_up", "arguments": '{"city": "Paris", "unit": "C"}'}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": CALL}],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18"}
LONG: dict[str, Any] = {
    "messages": {"messages": [ASKED] * N_MESSAGES},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 60_000}]},
    "tokens": {"prompt": list(range(500_000))},
}


class Gone(Exception):
    """Stands for a client that left."""


def read(value: Any) -> Any:
    """Return a body as a request's is read."""
    data = orjson.dumps(value)
    return body.read_object(request(data, CONTENT_LENGTH=str(len(data))))


@pytest.mark.parametrize(
    "value",
    [
        LONG["messages"],
        {"messages": [ASKED, CALLS, RESULT, ASKED] * (N_MESSAGES // 4)},
        {"messages": [CALLS] * N_MESSAGES},
        LONG["tokens"],
    ],
    ids=["messages", "calls and results", "calls", "tokens"],
)
def test_long_conversations_are_taken(value: Any) -> None:
    """64,000 messages, all of which may call tools, and half a million tokens."""
    assert read(value) == value


@pytest.mark.parametrize(
    "work",
    [
        lambda: read(LONG["messages"]),
        *(lambda v=v: CHAT_FIELDS.schema.check(v) for v in LONG.values()),
    ],
    ids=["read", *LONG],
)
def test_a_long_call_waits_for_its_turn(work: Callable[[], Any]) -> None:
    """While another one runs it only looks whether its client is there."""

    def look() -> None:
        raise Gone

    def wait() -> None:
        with Interruptible(look):
            work()

    with turn(is_long=True), ThreadPoolExecutor(1) as pool, pytest.raises(Gone):
        pool.submit(wait).result(20)


def test_a_short_call_waits_for_nothing() -> None:
    """Nor does one of a usual body while a long one runs."""
    usual = {"messages": [ASKED] * 500}
    with turn(is_long=True):
        assert read(usual) == usual
        CHAT_FIELDS.schema.check(usual)
        assert turns._TURN.locked()


def test_long_calls_never_overlap() -> None:
    """One at a time, each after a moment for the others; a failure ends a turn as well."""
    inside, seen = threading.Semaphore(1), []

    def work(n: int) -> None:
        with turn(is_long=True):
            seen.append(inside.acquire(blocking=False))
            inside.release()
            if n % 2:
                raise Gone

    with ThreadPoolExecutor(4) as pool:
        failures = [future.exception() for future in [pool.submit(work, n) for n in range(8)]]
    assert seen == [True] * 8
    assert [isinstance(failure, Gone) for failure in failures] == [False, True] * 4
    assert not turns._TURN.locked()


def test_values_are_counted_where_schemas_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """In lists and objects of the upper levels, however they are spread."""
    monkeypatch.setattr(turns, "MANY", 100)
    for many in ([0] * 100, {str(n): n for n in range(100)}, {"a": [[[0] * 10] * 10]}):
        assert has_many(many)
    for few in ([0] * 99, "a" * 1000, {"a": {"b": "c" * 1000}}, 5, None):
        assert not has_many(few)
