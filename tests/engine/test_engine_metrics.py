"""What the engine counts of its own work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyllama.errors import EngineError, NativeError
from tests.support.builders import request
from tests.support.engine_room import Room, answer, until


def test_work_is_counted(room: Room) -> None:
    """Tokens, steps, ends and waits of two requests, the second of which starts from a prefix."""
    answer(room.engine.submit(request([1, 2, 3, 4], 3)))
    until(lambda: room.engine.metrics().n_busy == 0)
    answer(room.engine.submit(request([1, 2, 3, 4, 5], 2)))
    now = room.engine.metrics()
    assert now.prompt_tokens + now.cached_tokens == 4 + 5
    assert now.cached_tokens >= 3
    assert now.predicted_tokens == 3 + 2
    assert (now.n_started, now.n_prefix_hits, now.n_preempted) == (2, 1, 0)
    assert now.finished == {"length": 2}
    assert sum(now.queue_s.counts) == sum(now.ttft_s.counts) == 2
    assert sum(now.token_gap_s.counts) == 2 + 1
    assert now.n_steps == sum(now.step_s.counts) == 3 + 2
    assert now.n_tokens_max == 7
    assert 0 < now.n_cells_used <= now.n_cells


def test_every_end_has_its_reason(make: Callable[..., Room]) -> None:
    """A client that leaves, a stop string and a failure are told apart."""
    room = make(n_slots=1)
    for reason in ("cancelled", "stop"):
        ticket = room.submit_held(3, 50)
        room.engine.abort(ticket, reason)
        room.runner.gate.set()
        until(lambda: room.engine.metrics().n_busy == 0)
    room.runner.answers = [NativeError("decode", "broken")]
    with pytest.raises(EngineError):
        answer(room.engine.submit(request(3, 5)))
    assert room.engine.metrics().finished == {"cancelled": 1, "stop": 1, "error": 1}


def test_who_never_started_counts_as_ended_too(make: Callable[..., Room]) -> None:
    """A request that leaves the queue is one of the ends, and no start."""
    room = make(n_slots=1)
    running = room.submit_held(3, 50)
    waiting = room.engine.submit(request(3, 5))
    until(lambda: room.engine.n_waiting == 1)
    room.engine.abort(waiting)
    room.engine.abort(running)
    room.runner.gate.set()
    until(lambda: room.engine.n_waiting == 0 and room.engine.metrics().n_busy == 0)
    now = room.engine.metrics()
    assert now.n_started == 1
    assert sum(now.finished.values()) in {1, 2}
