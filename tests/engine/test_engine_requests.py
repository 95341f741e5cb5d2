"""Requests on the engine's thread, with a runner that has no model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pyllama.engine import StreamEvent
from pyllama.engine.inbox import Stop
from pyllama.errors import EngineError, InvalidResponse, NativeError, QueueFull
from pyllama.results import QueuePlace
from pyllama.sched import Finished, Started, TokenSampled
from tests.support.builders import request
from tests.support.engine_room import LONG_S, Room, answer, until
from tests.support.fake_runner import continuation


def test_many_threads_get_their_own_answers(make: Callable[..., Room]) -> None:
    """Requests from many threads are batched, and each gets the answer that it gets alone."""
    room = make(max_queue=100, n_slots=4)
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        answers[number] = answer(room.engine.submit(request([number, 5, 6], 20)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    expected = {n: continuation([n, 5, 6], 20, room.limits) for n in range(32)}
    assert answers == expected
    until(lambda: (room.engine.n_busy, room.engine.n_waiting) == (0, 0))
    room.engine.check_integrity()


class Sampler:
    """Stands for one whose grammar is too ambiguous, or is not."""

    def __init__(self, *, has_given_up: bool) -> None:
        self.has_given_up = has_given_up


def test_an_answer_whose_grammar_was_given_up_fails_alone(
    make: Callable[..., Room], caplog: pytest.LogCaptureFixture
) -> None:
    """It ends with an error that says so, in the log too; what is computed beside it goes on."""
    room = make(n_slots=2)
    room.runner.gate.clear()
    lost = room.engine.submit(request([4, 5], 5, sampler=Sampler(has_given_up=True)))
    other = room.engine.submit(request([1, 2], 5, sampler=Sampler(has_given_up=False)))
    room.runner.gate.set()
    with pytest.raises(InvalidResponse, match="too ambiguous"):
        answer(lost)
    assert answer(other) == continuation([1, 2], 5, room.limits)
    assert caplog.text.count("too ambiguous") == 1
    assert room.engine.metrics().finished == {"error": 1, "length": 1}
    room.engine.check_integrity()


def test_events_come_in_order(room: Room) -> None:
    """A stream begins with its start, then has its tokens, then its end, and nothing after."""
    ticket = room.engine.submit(request(4, 3))
    events: list[StreamEvent] = []
    while not (events and isinstance(events[-1], Finished)):
        events += ticket.stream.get(LONG_S)
    kinds = [type(event) for event in events]
    assert kinds == [Started, TokenSampled, TokenSampled, TokenSampled, Finished]


def test_a_running_request_is_aborted(make: Callable[..., Room]) -> None:
    """Abort frees the slot before the next decode; who waits gets it; twice is once."""
    room = make(n_slots=1)
    ticket = room.submit_held(3, 900)
    other = room.engine.submit(request([1, 2], 5))
    room.engine.abort(ticket)
    room.engine.abort(ticket)
    room.runner.gate.set()
    assert answer(other) == continuation([1, 2], 5, room.limits)
    assert ticket.stream.get(0) == []
    room.engine.check_integrity()


def test_a_waiting_request_is_aborted(make: Callable[..., Room]) -> None:
    """A request that leaves the queue costs no step and gives its place back."""
    room = make(n_slots=1, max_queue=1)
    first = room.submit_held(3, 5)
    waiting = room.engine.submit(request())
    with pytest.raises(QueueFull):
        room.engine.submit(request())
    assert (room.engine.n_busy, room.engine.n_waiting) == (1, 1)
    room.engine.abort(waiting)
    room.runner.gate.set()
    answer(first)
    until(lambda: not room.engine._admission.accepted())
    assert waiting.sequence is None, "it was aborted before the engine took it in"


def test_a_request_that_was_taken_in_and_waits_is_aborted(make: Callable[..., Room]) -> None:
    """A sequence in the scheduler's own queue never starts once its client has left."""
    room = make(n_slots=1)
    first = room.submit_held(3, 900)
    waiting = room.engine.submit(request())
    room.runner.gate.set()
    until(lambda: waiting.sequence is not None)
    room.engine.abort(waiting)
    room.engine.abort(first)
    until(lambda: not room.engine._admission.accepted())
    assert waiting.stream.get(0) == []


def test_waiting_requests_know_their_place(make: Callable[..., Room]) -> None:
    """Who waits is told how many come before; who computes or has left has no place."""
    room = make(n_slots=1)
    engine = room.engine
    first = room.submit_held(3, 5)
    waiting = [engine.submit(request()) for _ in range(3)]
    places = [engine.place(ticket) for ticket in waiting]
    assert places == [QueuePlace(position=n, n_waiting=3) for n in (1, 2, 3)]
    assert engine.place(first) is None
    engine.abort(waiting[0])
    room.runner.gate.set()
    for ticket in (first, *waiting[1:]):
        answer(ticket)
    assert [engine.place(ticket) for ticket in waiting] == [None, None, None]


def test_no_place_is_told_where_a_slot_is_free(make: Callable[..., Room]) -> None:
    """A request that will get an idle slot in the next step does not wait for anybody."""
    room = make(n_slots=3)
    room.submit_held(3, 900)
    second, third, fourth = (room.engine.submit(request()) for _ in range(3))
    assert room.engine.place(second) is room.engine.place(third) is None
    assert room.engine.place(fourth) == QueuePlace(position=1, n_waiting=1)


def test_a_finished_request_is_aborted_in_vain(room: Room) -> None:
    """Abort after the end changes nothing."""
    ticket = room.engine.submit(request())
    answer(ticket)
    room.engine.abort(ticket)
    assert answer(room.engine.submit(request([1], 3))) == continuation([1], 3, room.limits)


def test_a_long_prefill_is_interrupted(room: Room) -> None:
    """Who leaves during a long prompt is not waited for: the decode itself is cut short."""
    ticket = room.submit_held(500, 5)
    room.engine.abort(ticket)
    assert room.runner.n_interrupts == 1
    # The gate is still shut: only the interrupt can have ended the step.
    until(lambda: room.engine.n_busy == 0)
    room.runner.gate.set()
    room.engine.check_integrity()


def test_a_short_step_is_not_interrupted(room: Room) -> None:
    """A step of a few tokens ends soon by itself; others' work in it is not thrown away."""
    room.engine.abort(room.submit_held(5, 5))
    assert room.runner.n_interrupts == 0


def test_an_interrupt_costs_the_others_nothing(room: Room) -> None:
    """Sequences that shared an interrupted step get the same answer as ever."""
    other = room.submit_held([1, 2, 3], 30)
    leaver = room.engine.submit(request(500, 5))
    room.runner.gate.set()
    until(lambda: room.engine._generator._plan.n_tokens > 64 or leaver.stream.get(0) != [])
    room.engine.abort(leaver)
    room.runner.interrupt()
    assert answer(other) == continuation([1, 2, 3], 30, room.limits)
    room.engine.check_integrity()


def test_the_queue_is_bounded(make: Callable[..., Room]) -> None:
    """Past slots and queue a request is refused at once, and taken again after an end."""
    room = make(n_slots=2, max_queue=1)
    tickets = [room.submit_held(3, 4), *(room.engine.submit(request(3, 4)) for _ in range(2))]
    with pytest.raises(QueueFull, match="3 requests"):
        room.engine.submit(request())
    room.runner.gate.set()
    for ticket in tickets:
        answer(ticket)
    answer(room.engine.submit(request()))


def test_who_reads_the_end_may_ask_again(make: Callable[..., Room]) -> None:
    """The place of a request is free before its owner can know of the end."""
    room = make(n_slots=1, max_queue=0)
    for _ in range(200):
        answer(room.engine.submit(request(2, 1)))


def test_a_failed_step_costs_only_its_own(make: Callable[..., Room]) -> None:
    """NativeError ends the sequences of its step; those that waited get their answers."""
    room = make(n_slots=1)
    first = room.submit_held(3, 900)
    waiting = room.engine.submit(request([1, 2], 5))
    # The step at the gate ends well, the next one does not.
    room.runner.answers = [NativeError("llama_decode", -3)]
    room.runner.gate.set()
    with pytest.raises(NativeError, match="llama_decode: -3"):
        answer(first)
    assert answer(waiting) == continuation([1, 2], 5, room.limits)
    room.engine.check_integrity()


def test_a_failed_first_step_costs_only_its_own(room: Room) -> None:
    """A sequence that fails in the very step that started it leaves nothing to trip over."""
    room.runner.answers = [NativeError("llama_decode", -3)]
    with pytest.raises(NativeError):
        answer(room.engine.submit(request()))
    assert answer(room.engine.submit(request([1, 2], 5))) == continuation([1, 2], 5, room.limits)


def test_a_wrong_ledger_is_repaired_when_idle(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """Cells that the ledger does not know are found when idle, told of, and forgotten."""
    answer(room.engine.submit(request([1, 2, 3], 2)))
    until(lambda: not room.engine._generator.has_work)
    room.runner.memory.spoil(0)
    with pytest.raises(EngineError, match="ledger"):
        room.engine.check_integrity()
    until(lambda: room.runner.memory.tokens(0) == [])
    room.engine.check_integrity()
    assert "ledger" in caplog.text
    assert answer(room.engine.submit(request([1, 2], 3))) == continuation([1, 2], 3, room.limits)


def test_an_engine_that_is_stuck_is_told_of(room: Room) -> None:
    """The integrity check gives up after its time where a step does not end."""
    room.submit_held(3, 5)
    with pytest.raises(EngineError, match="did not answer"):
        room.engine.check_integrity(timeout_s=0.05)


def test_a_question_to_a_dying_engine_is_answered(room: Room) -> None:
    """A check that is in the inbox while the engine stops fails at once, not after its timeout."""
    room.submit_held(3, 900)
    errors: list[EngineError] = []

    def ask() -> None:
        try:
            room.engine.check_integrity(timeout_s=LONG_S)
        except EngineError as error:
            errors.append(error)

    room.engine._inbox.put(Stop())
    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: len(room.engine._inbox) == 2)
    start_s = time.monotonic()
    room.engine.close()
    thread.join(LONG_S)
    assert len(errors) == 1
    assert time.monotonic() - start_s < LONG_S / 2
