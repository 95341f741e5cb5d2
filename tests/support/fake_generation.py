"""Answers that play a script, in the place of those of an engine."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyllama.engine import Mailbox
from pyllama.errors import Cancelled
from pyllama.generations import Generations
from pyllama.results import (
    AnswerPart,
    Completion,
    Delta,
    FinishReason,
    QueuePlace,
    Timings,
    TokenLogprobs,
    Usage,
)
from pyllama.text.answer import Answer
from pyllama.text.output import OutputDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyllama.params import GenerationParams

Step = str | OutputDelta | float | Exception
"""What a script is made of: what one token adds, seconds to wait, or a failure."""


FIRST_TOKEN = 2**20 + 2**17
"""Id of the first token of every answer, the others count on; above the ids of prompts."""


def fake_logprobs(token: int, n_top: int) -> TokenLogprobs:
    """Make up how likely a token was: the higher its id, the less; the letters were likelier."""
    top = tuple((ord("a") + i, -(i + 1) / 8) for i in range(n_top))
    return TokenLogprobs(token=token, logprob=-token / 2**10, top=top)


@dataclass(frozen=True, slots=True)
class FakePrompt:
    """A prompt, and what it was made of."""

    tokens: tuple[int, ...]
    source: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the chat was to be rendered with, by the names of ``Llama.chat_prompt``."""
    stop: tuple[str, ...] = ()
    text: str = ""


class FakeGeneration:
    """Plays a script to one consumer."""

    def __init__(
        self, prompt: FakePrompt, params: GenerationParams, script: Sequence[Step], request_id: str
    ) -> None:
        self.prompt = prompt
        self.params = params
        self.request_id = request_id
        self.is_over = threading.Event()
        self.was_aborted = False
        self.stop_sequence: str | None = None
        self.fixed_logprobs: tuple[TokenLogprobs, ...] | None = None
        """Those of each step, in place of made-up ones."""
        self.queue_place: QueuePlace | None = None
        self._steps = deque(script)
        self._due_s = time.monotonic()
        self._n_tokens = self._n_reasoning = 0
        self._answer = Answer()
        self._is_whole = False
        self._cancelled = threading.Event()

    def poll(self, timeout_s: float | None = None) -> Delta | None:
        """Return the next delta, or ``None`` when it is not due within the timeout."""
        if self._is_whole:
            raise StopIteration
        is_due = self.wait(timeout_s)
        if self._cancelled.is_set():
            if self.is_over.is_set():
                raise StopIteration
            raise Cancelled("the server is shutting down")
        return self._play() if is_due else None

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the next step; return whether it is due, or cancelled."""
        left_s = self._left_s()
        wait_s = left_s if timeout_s is None else min(left_s, timeout_s)
        if self._cancelled.wait(max(wait_s, 0.0)):
            return True
        return timeout_s is None or left_s <= timeout_s

    def finish(self) -> Delta:
        """Return the last delta."""
        delta = self._play()
        assert delta is not None
        return delta

    def __iter__(self) -> FakeGeneration:
        """Return itself."""
        return self

    def __next__(self) -> Delta:
        """Return the next delta."""
        while (delta := self.poll()) is None:
            pass
        return delta

    def close(self) -> None:
        """End; an abort unless the last delta was returned."""
        self.was_aborted = self.was_aborted or not self._is_whole
        self.is_over.set()
        # Wakes the consumer, if another thread waits.
        self._cancelled.set()

    def cancel(self) -> None:
        """Do what the engine does when it can wait no longer."""
        self._cancelled.set()

    @property
    def is_whole(self) -> bool:
        """Whether the last step was played."""
        return self._is_whole

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended."""
        self._check_whole()
        if self._n_tokens == self.params.max_tokens:
            return "length"
        return "tool_calls" if self._answer.tool_calls else "stop"

    @property
    def completion(self) -> Completion:
        """All of it."""
        return Completion(
            text=self._answer.text,
            finish_reason=self.finish_reason,
            usage=self.usage,
            timings=self.timings,
            reasoning=self._answer.reasoning,
            tool_calls=self._answer.tool_calls,
            parts=self.parts,
            stop_sequence=self.stop_sequence,
            logprobs=self._answer.logprobs,
            prompt_logprobs=self.prompt_logprobs,
        )

    @property
    def parts(self) -> tuple[AnswerPart, ...]:
        """What there is of it."""
        return self._answer.parts

    @property
    def prompt_logprobs(self) -> tuple[TokenLogprobs, ...]:
        """One for each prompt token but the first, if they were asked for."""
        n_top = self.params.prompt_logprobs
        if n_top is None:
            return ()
        return tuple(fake_logprobs(token, n_top) for token in self.prompt.tokens[1:])

    @property
    def tokens(self) -> list[int]:
        """One for each step so far."""
        return [FIRST_TOKEN + i for i in range(self._n_tokens)]

    @property
    def usage(self) -> Usage:
        """What it cost."""
        return Usage(
            prompt_tokens=len(self.prompt.tokens),
            completion_tokens=self._n_tokens,
            cached_tokens=1,
            reasoning_tokens=self._n_reasoning,
        )

    @property
    def timings(self) -> Timings:
        """How long it took."""
        return Timings(
            cache_n=1,
            prompt_n=len(self.prompt.tokens) - 1,
            prompt_ms=10.0,
            predicted_n=self._n_tokens,
            predicted_ms=20.0,
            queue_ms=5.0,
        )

    @property
    def is_ending(self) -> bool:
        """Whether the last step is the next one, and due."""
        left_s = self._left_s()
        is_last = len(self._steps) <= 1 and not any(isinstance(s, Exception) for s in self._steps)
        return is_last and left_s <= 0 and not (self._is_whole or self._cancelled.is_set())

    def _left_s(self) -> float:
        while self._steps and isinstance(pause_s := self._steps[0], (int, float)):
            self._due_s = max(self._due_s, time.monotonic()) + pause_s
            self._steps.popleft()
        return self._due_s - time.monotonic()

    def _play(self) -> Delta | None:
        step = self._steps.popleft() if self._steps else ""
        if isinstance(step, Exception):
            raise step
        assert not isinstance(step, (int, float))
        self._n_tokens += 1
        piece = OutputDelta(content=step) if isinstance(step, str) else step
        self._n_reasoning += bool(piece.reasoning)
        self._answer.add(piece)
        self._is_whole = not self._steps
        logprobs: tuple[TokenLogprobs, ...] = ()
        if (n_top := self.params.logprobs) is not None:
            logprobs = (fake_logprobs(FIRST_TOKEN + self._n_tokens - 1, n_top),)
        if self.fixed_logprobs is not None:
            logprobs = self.fixed_logprobs
        for item in logprobs:
            self._answer.add_logprobs(item)
        return self._answer.take(self._n_tokens, self.finish_reason if self._is_whole else None)

    def _check_whole(self) -> None:
        if not self._is_whole:
            raise RuntimeError("the generation has not ended")


class FakeGenerations(Generations):
    """Several of them, asked in turn: a script tells nobody when a step is due."""

    def __init__(self, generations: Sequence[FakeGeneration]) -> None:
        made: Any = generations
        super().__init__(made, Mailbox())
        self._fakes = tuple(generations)
        self._turn = deque(range(len(generations)))
        self._call: Callable[[], None] | None = None

    def read(self, timeout_s: float | None = None) -> tuple[int, Delta] | None:
        """Return the next delta of the first that has one."""
        self._check_open()
        for _ in range(len(self._turn)):
            index = self._turn.popleft()
            fake = self._fakes[index]
            self._turn.append(index)
            if not fake.wait(timeout_s):
                continue
            if fake.is_ending:
                self._ending.append(index)
                self._turn.remove(index)
                return None
            delta = fake.poll(0.0)
            if delta is not None:
                return index, delta
        return None

    def notify(self, call: Callable[[], None] | None) -> None:
        """Call a function again and again."""
        self._call = call
        if call is not None:
            threading.Thread(target=self._remind, args=(call,), daemon=True).start()

    def _remind(self, call: Callable[[], None]) -> None:
        while self._call is call:
            call()
            time.sleep(0.005)
