"""Embeddings in the engine's loop, over a fake context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyllama.engine import Embedder, EmbeddingJob
from pyllama.engine.embedder import _MIN_TOKENS
from pyllama.engine.meter import Meter
from pyllama.errors import Cancelled, Draining, EngineError, NativeError, QueueFull
from tests.support.builders import request
from tests.support.engine_room import LONG_S, Room, answer, until
from tests.support.fake_embeddings import FakeEmbeddingContext


def submit(room: Room, *inputs: tuple[int, ...]) -> EmbeddingJob:
    job = EmbeddingJob(inputs)
    room.engine.embed(job)
    return job


def held(room: Room, *inputs: tuple[int, ...]) -> EmbeddingJob:
    """Submit a request and return once its first batch hangs."""
    room.embeddings.gate.clear()
    job = submit(room, *inputs)
    until(lambda: bool(room.embeddings.batches))
    return job


def rows(job: EmbeddingJob) -> list[list[float]]:
    assert job.wait(LONG_S)
    assert job.error is None
    return [row.tolist() for row in job.rows]


def test_inputs_become_the_means_of_their_tokens(room: Room) -> None:
    """Each in its place, also one that took several batches."""
    long = tuple(range(90))
    job = submit(room, (2, 4), long, (7,))
    assert rows(job) == [[3.0, 1.0], [44.5, 1.0], [7.0, 1.0]]
    assert len(room.embeddings.batches) == 3
    assert room.embeddings.used == set()
    assert 0 < job.arrival_s <= job.start_s <= job.end_s


def test_embeddings_are_counted(room: Room) -> None:
    """Their tokens are prompt tokens, and each input counts."""
    rows(submit(room, (1, 2), (3,)))
    metrics = room.engine.metrics()
    assert (metrics.prompt_tokens, metrics.n_embedded, metrics.n_steps) == (3, 2, 1)
    assert metrics.finished == {"embedded": 1}


def test_streams_go_on_meanwhile(room: Room) -> None:
    """Between two batches of embeddings every stream gets its step."""
    job = submit(room, *[tuple(range(90))] * 20)
    assert len(answer(room.engine.submit(request(max_tokens=10)))) == 10
    assert job.wait(LONG_S)
    assert job.error is None


def test_batches_are_short_beside_streams() -> None:
    """A batch takes half of a step's time, but never so little that it is wasted."""
    embedder = Embedder(FakeEmbeddingContext, step_s=0.4)
    embedder._learn(100, 0.1)
    assert embedder._n_tokens() == 200
    embedder._learn(8, 100.0)
    assert embedder._n_tokens() == 200
    embedder._learn(100, 1e3)
    assert embedder._n_tokens() == _MIN_TOKENS


def test_an_aborted_request_leaves_nothing(room: Room) -> None:
    """Neither cells nor a place in the queue, and its reader is woken."""
    job = held(room, tuple(range(90)), (1,))
    assert room.engine.n_waiting == 0
    room.engine.abort(job)
    room.embeddings.gate.set()
    assert job.wait(LONG_S)
    assert isinstance(job.error, Cancelled)
    assert room.embeddings.used == set()
    assert room.engine.metrics().finished == {"cancelled": 1}
    room.engine.abort(job)
    assert rows(submit(room, (5,))) == [[5.0, 1.0]]
    room.engine.check_integrity()


def test_a_failed_batch_fails_its_requests_only(room: Room) -> None:
    """The next request is answered."""
    room.embeddings.answers = [NativeError("llama_decode", -3)]
    failed = submit(room, (1,))
    assert failed.wait(LONG_S)
    assert isinstance(failed.error, NativeError)
    assert rows(submit(room, (5,))) == [[5.0, 1.0]]
    assert room.engine.metrics().finished == {"error": 1, "embedded": 1}


def test_requests_are_bounded(make: Callable[..., Room]) -> None:
    """Embeddings and generations share the places."""
    room = make(max_queue=0, n_slots=1)
    job = held(room, (1,))
    with pytest.raises(QueueFull):
        submit(room, (2,))
    with pytest.raises(QueueFull):
        room.engine.submit(request())
    room.embeddings.gate.set()
    assert rows(job) == [[1.0, 1.0]]
    assert rows(submit(room, (2,))) == [[2.0, 1.0]]


def test_drain_waits_for_embeddings(room: Room) -> None:
    """What is accepted is answered, what comes later is refused."""
    job = submit(room, *[tuple(range(90))] * 5)
    assert room.engine.drain(LONG_S)
    assert len(rows(job)) == 5
    with pytest.raises(Draining):
        submit(room, (1,))


def test_drain_ends_what_is_left(room: Room) -> None:
    """When the time is over they end with Cancelled."""
    job = held(room, *[tuple(range(90))] * 5)
    room.runner.interrupt = room.embeddings.gate.set  # type: ignore[method-assign]
    assert not room.engine.drain(0.05)
    assert job.wait(LONG_S)
    assert isinstance(job.error, Cancelled)


def test_close_ends_all(room: Room) -> None:
    """The context is freed, also while a batch runs, and nobody waits for ever."""
    job = held(room, *[tuple(range(90))] * 5)
    room.engine.close()
    assert job.wait(LONG_S)
    assert isinstance(job.error, Cancelled)
    assert room.embeddings.is_closed
    with pytest.raises(EngineError):
        submit(room, (1,))


def test_a_dead_engine_fails_them(room: Room) -> None:
    """A fault of our own ends with an error for each."""
    room.embeddings.answers = [RuntimeError("a fault")]
    job = submit(room, (1,))
    assert job.wait(LONG_S)
    assert isinstance(job.error, EngineError)


def test_context_is_made_once_and_late() -> None:
    """Nothing is taken before somebody asks, and nothing is made after the end."""
    made: list[Any] = []

    def make() -> FakeEmbeddingContext:
        made.append(FakeEmbeddingContext())
        return made[-1]  # type: ignore[no-any-return]

    embedder = Embedder(make, step_s=0.1)
    embedder.interrupt()
    assert made == []
    assert embedder.open() is embedder.open()
    assert embedder.step(Meter(), is_shared=False) == []
    embedder.close()
    assert made[0].is_closed
    with pytest.raises(EngineError):
        embedder.open()
    assert len(made) == 1
