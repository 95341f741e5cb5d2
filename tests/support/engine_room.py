"""An engine over a fake runner, and ways to wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pyllama.engine import Embedder, Engine, Failed
from pyllama.engine.ticket import Ticket
from pyllama.sched import Finished, Limits, Scheduler, TokenSampled
from tests.support.builders import request
from tests.support.fake_embeddings import FakeEmbeddingContext
from tests.support.fake_runner import FakeRunner

LONG_S = 10.0


class Room:
    """An engine over a fake runner, and ways to wait for it."""

    def __init__(self, limits: Limits, max_queue: int = 8) -> None:
        self.limits = limits
        self.runner = FakeRunner(limits)
        self.stops = 0
        self.embeddings = FakeEmbeddingContext()
        self.engine = Engine(
            self.runner,
            Scheduler(limits, step_s=0.05),
            Embedder(lambda: self.embeddings, step_s=0.05),
            max_queue=max_queue,
            on_stop=self._count_stop,
        )

    def _count_stop(self) -> None:
        self.stops += 1

    def submit_held(self, *args: Any, **kwargs: Any) -> Ticket:
        """Submit a request and return once its first step hangs at the gate."""
        self.runner.gate.clear()
        self.runner.has_step.clear()
        ticket = self.engine.submit(request(*args, **kwargs))
        assert self.runner.has_step.wait(LONG_S)
        return ticket

    def kill(self) -> None:
        """Let the next step fail as only a fault in our own code would."""
        self.runner.answers = [RuntimeError("a fault")]
        self.engine.submit(request())
        self.engine._thread.join(LONG_S)


def answer(ticket: Ticket) -> list[int]:
    """Return the tokens of a ticket's stream; raise what ended it otherwise."""
    tokens: list[int] = []
    deadline_s = time.monotonic() + LONG_S
    while time.monotonic() < deadline_s:
        for event in ticket.stream.get(0.1):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                return tokens
            if isinstance(event, TokenSampled):
                tokens.append(event.token)
    raise AssertionError("no end")


def until(is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
