"""What the engine counts of its own work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyllama.engine import EmbeddingJob
from pyllama.engine.inbox import Stop
from pyllama.errors import Cancelled, EngineError, NativeError
from tests.support.builders import request
from tests.support.engine_room import LONG_S, Room, answer, until


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


def test_who_leaves_the_queue_counts_as_ended_too(make: Callable[..., Room]) -> None:
    """A request that leaves after the engine took it in is one of the ends, and no start."""
    room = make(n_slots=1)
    running = room.submit_held(3, 900)
    waiting = room.engine.submit(request(3, 5))
    room.runner.gate.set()
    until(lambda: waiting.sequence is not None)
    room.engine.abort(waiting, "stop")
    until(lambda: room.engine.n_waiting == 0)
    assert room.engine.metrics().finished == {"stop": 1}
    room.engine.abort(running)
    until(lambda: room.engine.n_busy == 0)
    now = room.engine.metrics()
    assert (now.n_started, now.finished) == (1, {"stop": 1, "cancelled": 1})


@pytest.mark.parametrize("reason", ["cancelled", "stop"])
def test_who_leaves_before_being_taken_in_counts_too(
    make: Callable[..., Room], reason: str
) -> None:
    """A request that is aborted while a step computes, and is still in the inbox, is an end."""
    room = make(n_slots=1)
    running = room.submit_held(3, 2)
    left = room.engine.submit(request(3, 5))
    room.engine.abort(left, reason)
    room.engine.abort(left, "another reason")
    room.runner.gate.set()
    answer(running)
    assert left.sequence is None
    now = room.engine.metrics()
    assert (now.n_started, now.finished) == (1, {"length": 1, reason: 1})
    assert (room.engine.n_waiting, room.engine.n_busy) == (0, 0)


def test_embeddings_that_leave_before_being_taken_in_count_too(room: Room) -> None:
    """Inputs that nobody waits for any more are an end, whether they are begun or not."""
    running = room.submit_held(3, 2)
    job = EmbeddingJob([(1, 2)])
    room.engine.embed(job)
    room.engine.abort(job)
    room.runner.gate.set()
    answer(running)
    assert job.wait(LONG_S)
    assert room.engine.metrics().finished == {"length": 1, "cancelled": 1}


def test_who_is_in_the_inbox_at_the_end_counts_too(make: Callable[..., Room]) -> None:
    """A close counts each request that it ends, and one that had left before as that."""
    room = make(n_slots=1)
    room.submit_held(3, 900)
    room.engine._inbox.put(Stop())
    unread = room.engine.submit(request(3, 5))
    left = room.engine.submit(request(3, 5))
    room.engine.abort(left, "stop")
    room.engine.close()
    with pytest.raises(Cancelled):
        answer(unread)
    assert room.engine.metrics().finished == {"cancelled": 2, "stop": 1}
