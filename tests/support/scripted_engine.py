"""An engine that plays scripts into the streams of thousands of requests, and computes nothing."""

from __future__ import annotations

import queue
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyllama.engine import Failed, Mailbox
from pyllama.engine.ticket import Ticket
from pyllama.errors import EngineError, InvalidResponse
from pyllama.generation import Generation
from pyllama.generations import Generations
from pyllama.sched import Finished, Sequence, Started, TokenSampled
from pyllama.text import AnswerReader, Detokenizer, OutputParser, Prompt, StopMatcher
from pyllama.text.output import OutputDelta
from tests.support.builders import request

LETTERS = [bytes([letter]) for letter in b"abcdefghij"]
STOP = "j"

Step = int | str
"""A token; "stop" or "length", the end; "fail"; "close", by another thread than the reader's."""


class EndParser(OutputParser):
    """Takes all text as content, and notes the threads on which answers end.

    Args:
        is_refused: whether the answer is not what was asked for.
    """

    has_tool_calls = False
    ended_on: set[str] = set()  # noqa: RUF012 - of all parsers

    def __init__(self, *, is_refused: bool) -> None:
        self._is_refused = is_refused

    def feed(self, text: str) -> OutputDelta:
        """Return it."""
        return OutputDelta(content=text)

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Take note of the thread."""
        self.ended_on.add(threading.current_thread().name)
        if self._is_refused and not is_cut:
            raise InvalidResponse("the answer is not what was asked for", details=[])
        return OutputDelta()


@dataclass
class Script:
    """What is left of an answer's script."""

    steps: deque[Step]
    request: weakref.ref[Generations]


class ScriptedEngine:
    """Plays the scripts of all requests on one thread, a step of each in a round.

    Args:
        seed: says at what moments the others get their turn.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._inbox: queue.SimpleQueue[tuple[Ticket, Script | None] | None] = queue.SimpleQueue()
        self._scripts: dict[Ticket, Script] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def start(self, *scripts: Iterable[Step], is_refused: bool = False) -> Generations:
        """Start a request, with an answer for each script."""
        mailbox, made = Mailbox(), []
        engine: Any = self
        tickets = [Ticket(request(3, 99), mailbox) for _ in scripts]
        for ticket in tickets:
            parser = EndParser(is_refused=is_refused)
            reader = AnswerReader(Detokenizer(LETTERS), StopMatcher([STOP]), parser)
            made.append(Generation(engine, ticket, reader, Prompt(ticket.request.tokens)))
        generations = Generations(made, mailbox)
        request_ref = weakref.ref(generations)
        for ticket, script in zip(tickets, scripts, strict=True):
            self._inbox.put((ticket, Script(deque(script), request_ref)))
        return generations

    def abort(self, ticket: Ticket, _reason: str = "cancelled") -> None:
        """Play no more of a script."""
        ticket.stream.close()
        self._inbox.put((ticket, None))

    @property
    def n_open(self) -> int:
        """Scripts that were neither played to their end nor aborted."""
        return len(self._scripts) + self._inbox.qsize()

    def close(self) -> None:
        """End the thread."""
        self._inbox.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while self._take_in():
            for ticket in list(self._scripts):
                self._play(ticket)
            # At any moment one of the others may have its turn, or none of them.
            if self._rng.random() < 0.5:
                time.sleep(0)

    def _take_in(self) -> bool:
        while not (self._scripts and self._inbox.empty()):
            message = self._inbox.get()
            if message is None:
                return False
            ticket, script = message
            if script:
                self._scripts[ticket] = script
                ticket.stream.put(Started(Sequence(ticket.request), 1.0, 0))
            else:
                self._scripts.pop(ticket, None)
        return True

    def _play(self, ticket: Ticket) -> None:
        script = self._scripts[ticket]
        step = script.steps.popleft()
        if not script.steps:
            del self._scripts[ticket]
        sequence = Sequence(ticket.request)
        if isinstance(step, int):
            ticket.stream.put(TokenSampled(sequence, 2.0, step))
        elif step == "fail":
            ticket.stream.put(Failed(EngineError("out of luck")))
        elif step == "close":
            if (generations := script.request()) is not None:
                generations.close()
        else:
            reason: Any = step
            ticket.stream.put(Finished(sequence, 3.0, reason))
