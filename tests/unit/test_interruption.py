"""Work that ends at a checkpoint, where nobody waits for it or where it takes too long."""

from __future__ import annotations

import pytest

from pyllama.errors import TooLarge
from pyllama.interruption import Interruptible, checkpoint


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr("pyllama.interruption.time.monotonic", lambda: self.now_s)


class GoneError(Exception):
    """What a look raises."""


def gone() -> None:
    raise GoneError


def test_checkpoint_outside_of_anything_goes_on() -> None:
    """Nobody said that the work may be interrupted, so it is not."""
    checkpoint()


def test_checkpoint_raises_what_the_look_raises() -> None:
    """The caller's own exception comes out of the work."""
    with pytest.raises(GoneError), Interruptible(gone):
        checkpoint()
    checkpoint()


def test_looks_are_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a loop asks, the connection is looked at some 20 times a second."""
    clock = Clock(monkeypatch)
    looks: list[float] = []
    with Interruptible(lambda: looks.append(clock.now_s)):
        for _ in range(1000):
            clock.now_s += 0.001
            checkpoint()
    assert 18 <= len(looks) <= 21


def test_time_counts_from_the_first_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that arrives slowly takes none of the time that there is for work."""
    clock = Clock(monkeypatch)
    with Interruptible(lambda: None, limit_s=5.0):
        clock.now_s += 60.0
        checkpoint()
        clock.now_s += 4.9
        checkpoint()
        clock.now_s += 0.2
        with pytest.raises(TooLarge, match="longer than 5 seconds; shorten it"):
            checkpoint()


def test_end_lets_the_rest_go_on() -> None:
    """Once the engine has the request, other limits count; a second end does nothing."""
    with Interruptible(gone) as interruptible:
        interruptible.end()
        checkpoint()
    interruptible.end()


def test_outer_one_counts_again_after_the_inner_one() -> None:
    """What was begun around it goes on to count."""
    looks: list[int] = []
    with Interruptible(lambda: looks.append(1)):
        with Interruptible(lambda: None):
            checkpoint()
        checkpoint()
    assert looks == [1]
