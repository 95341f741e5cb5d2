"""Native work that a signal's handler can end."""

from __future__ import annotations

import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from pyllama.interruptible import Cancellation, interruptible

LONG_S = 10.0


class Thing:
    """What work may give."""


class Alarm(Exception):
    """What a handler of the caller's own raises."""


def ring(_number: int, _frame: object) -> None:
    raise Alarm


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """Sends the main thread a signal whose handler raises Alarm."""
    before = signal.signal(signal.SIGUSR1, ring)
    yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def rung_after(event: threading.Event, alarm: Callable[[], None]) -> threading.Thread:
    def wait() -> None:
        if event.wait(LONG_S):
            alarm()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def never(_: object) -> None:
    raise AssertionError("nothing is to be discarded")


def test_the_result_is_that_of_the_work() -> None:
    """It is made on another thread than the main one, which waits for it."""
    threads: list[threading.Thread] = []

    def work(_: Cancellation) -> int:
        threads.append(threading.current_thread())
        return 7

    assert interruptible(work, never) == 7
    assert threads[0] is not threading.main_thread()
    assert not threads[0].is_alive()


def test_other_threads_do_the_work_themselves() -> None:
    """No handler of a signal ever runs on them."""
    seen: list[threading.Thread] = []
    thread = threading.Thread(
        target=lambda: interruptible(lambda _: seen.append(threading.current_thread()), never)
    )
    thread.start()
    thread.join(LONG_S)
    assert seen == [thread]


def test_an_error_of_the_work_is_raised_and_holds_nothing() -> None:
    """It is the caller's, and once that has dropped it, nothing of the work is left."""
    things: list[weakref.ref[Thing]] = []

    def work(_: Cancellation) -> None:
        thing = Thing()
        things.append(weakref.ref(thing))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        interruptible(work, never)
    assert things[0]() is None, "held by a cycle"


def test_a_handler_s_exception_arrives_at_once(alarm: Callable[[], None]) -> None:
    """Work that can be told to end is told so; what it still gives is discarded."""
    began, told, discarded = threading.Event(), threading.Event(), threading.Event()

    def work(cancellation: Cancellation) -> int:
        cancellation.on_set(told.set)
        began.set()
        assert told.wait(LONG_S)
        return 7

    waker = rung_after(began, alarm)
    with pytest.raises(Alarm):
        interruptible(work, lambda _: discarded.set())
    waker.join(LONG_S)
    assert discarded.wait(LONG_S)


def test_work_that_does_not_end_holds_nobody_up(alarm: Callable[[], None]) -> None:
    """The exception arrives while native code computes on; what that gives is discarded later."""
    began, gate, discarded = threading.Event(), threading.Event(), threading.Event()

    def work(_: Cancellation) -> int:
        began.set()
        assert gate.wait(3 * LONG_S)
        return 7

    waker = rung_after(began, alarm)
    start_s = time.monotonic()
    with pytest.raises(Alarm):
        interruptible(work, lambda _: discarded.set())
    assert time.monotonic() - start_s < LONG_S
    assert not discarded.is_set()
    gate.set()
    assert discarded.wait(LONG_S)
    waker.join(LONG_S)


def test_who_comes_too_late_is_told_at_once() -> None:
    """An action that is added after the end was asked for is taken."""
    cancellation = Cancellation()
    told: list[str] = []
    cancellation.on_set(lambda: told.append("early"))
    cancellation.set()
    cancellation.on_set(lambda: told.append("late"))
    assert told == ["early", "late"]
