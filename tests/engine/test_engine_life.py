"""How the engine drains, closes and dies, and what its clients see of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyllama.engine import Engine, EngineState, Failed
from pyllama.engine.admission import Admission
from pyllama.engine.ticket import Ticket
from pyllama.errors import Cancelled, Draining, EngineError, PyllamaError
from pyllama.sched import BatchPlan, Finished, StepResult
from tests.support.builders import request
from tests.support.engine_room import LONG_S, Room, answer, until


def test_drain_waits_for_the_accepted(room: Room) -> None:
    """Drain takes no new requests, lets the accepted ones end, and says that all did."""
    ticket = room.submit_held(3, 5)
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(room.engine.drain(LONG_S)))
    thread.start()
    until(lambda: room.engine.state is EngineState.DRAINING)
    with pytest.raises(Draining):
        room.engine.submit(request())
    room.runner.gate.set()
    assert len(answer(ticket)) > 0
    thread.join(LONG_S)
    assert results == [True]
    assert room.engine.drain(0.0) is True


def test_drain_ends_what_is_left(make: Callable[..., Room]) -> None:
    """Past its deadline a drain ends running and waiting requests with Cancelled, at once."""
    room = make(n_slots=1)
    tickets = [room.submit_held(300, 900), room.engine.submit(request())]
    start_s = time.monotonic()
    assert room.engine.drain(0.05) is False
    assert time.monotonic() - start_s < 2.0, "the step at hand is interrupted"
    for ticket in tickets:
        with pytest.raises(Cancelled):
            answer(ticket)
    room.runner.gate.set()


def test_close_ends_every_request(make: Callable[..., Room]) -> None:
    """Close ends running and waiting streams with Cancelled and joins the thread; twice is once."""
    room = make(n_slots=1)
    tickets = [room.submit_held(3, 900), *(room.engine.submit(request()) for _ in range(3))]
    room.engine.close()
    room.engine.close()
    for ticket in tickets:
        with pytest.raises(Cancelled):
            answer(ticket)
    with pytest.raises(EngineError):
        room.engine.submit(request())
    assert (room.engine.state, room.stops) == (EngineState.DEAD, 1)
    assert room.engine.drain(LONG_S) is True


def test_close_from_its_own_thread_does_not_wait_for_itself(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close that the engine thread runs, as a finalizer may, ends it without a dead-lock."""
    run = room.runner.run

    def closing(plan: BatchPlan) -> StepResult:
        room.engine.close()
        return run(plan)

    monkeypatch.setattr(room.runner, "run", closing)
    room.engine.submit(request())
    room.engine._thread.join(LONG_S)
    assert room.engine.state is EngineState.DEAD


def submit_until_refused(engine: Engine, barrier: threading.Barrier) -> list[Ticket]:
    barrier.wait(LONG_S)
    tickets = []
    try:
        while True:
            tickets.append(engine.submit(request(2, 1)))
    except PyllamaError:
        return tickets


@pytest.mark.parametrize("_attempt", range(30))
def test_submissions_race_with_close(room: Room, _attempt: int) -> None:
    """Whatever moment a request picks, it is refused or its stream ends: nobody waits for ever."""
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(1) as threads:
        accepted = threads.submit(submit_until_refused, room.engine, barrier)
        barrier.wait(LONG_S)
        room.engine.close()
    for ticket in accepted.result():
        assert isinstance(ticket.stream.get(LONG_S)[-1], (Finished, Failed))
    assert not room.engine._admission.accepted()


def test_a_late_submission_is_not_lost() -> None:
    """A request is announced before the end is, however long that takes: the end reads it."""
    admission = Admission(1)
    told: list[str] = []
    is_announcing = threading.Event()

    def announce() -> None:
        is_announcing.set()
        time.sleep(0.1)
        told.append("request")

    with ThreadPoolExecutor(1) as threads:
        accepted = threads.submit(admission.admit, Ticket(request()), announce)
        assert is_announcing.wait(LONG_S)
        admission.end(was_closed=True, last=lambda: told.append("end"))
        accepted.result()
    assert told == ["request", "end"]


def test_a_dead_engine_ends_every_stream(make: Callable[..., Room]) -> None:
    """A fault on the engine thread reaches every client as EngineError, later ones at submit."""
    room = make(n_slots=1)
    tickets = [room.submit_held(3, 900), *(room.engine.submit(request()) for _ in range(3))]
    room.runner.answers = [RuntimeError("a fault")]
    room.runner.gate.set()
    for ticket in tickets:
        with pytest.raises(EngineError, match="a fault"):
            answer(ticket)
    room.engine._thread.join(LONG_S)
    with pytest.raises(EngineError):
        room.engine.submit(request())
    with pytest.raises(EngineError, match="failed"):
        room.engine.check_integrity()
    assert room.engine.drain(LONG_S) is True
