"""A :class:`pyllama.Llama` without a model: it plays a script, and remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import Cancelled, Draining, InvalidRequest
from pyllama.params import GenerationParams
from pyllama.results import Delta, FinishReason, ModelInfo, Timings, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Step = str | float | Exception
"""What a script is made of: text of one token, seconds to wait, or a failure."""

INFO = ModelInfo(
    id="fake.gguf",
    path="fake.gguf",
    created=1_700_000_000,
    description="fake",
    architecture="fake",
    n_vocab=100,
    n_ctx_train=4096,
    n_embd=8,
    n_params=1000,
    size_bytes=4000,
)


@dataclass(frozen=True, slots=True)
class FakePrompt:
    """A prompt, and what it was made of."""

    tokens: tuple[int, ...]
    source: Any = None
    template_kwargs: Mapping[str, Any] | None = None
    add_generation_prompt: bool = True
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FakeStatus:
    """The state of the engine."""

    state: Literal["ready", "draining", "dead"] = "ready"
    n_slots: int = 4
    n_busy: int = 0
    n_waiting: int = 0


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
        self._steps = deque(script)
        self._due_s = time.monotonic()
        self._n_tokens = 0
        self._is_whole = False
        self._cancelled = threading.Event()

    def poll(self, timeout_s: float | None = None) -> Delta | None:
        """Return the next delta, or ``None`` when it is not due within the timeout."""
        if self._is_whole:
            raise StopIteration
        while self._steps and isinstance(pause_s := self._steps[0], (int, float)):
            self._due_s = max(self._due_s, time.monotonic()) + pause_s
            self._steps.popleft()
        left_s = self._due_s - time.monotonic()
        wait_s = left_s if timeout_s is None else min(left_s, timeout_s)
        if self._cancelled.wait(max(wait_s, 0.0)):
            raise Cancelled("the server is shutting down")
        if timeout_s is not None and left_s > timeout_s:
            return None
        return self._play()

    def __iter__(self) -> FakeGeneration:
        """Return itself."""
        return self

    def __next__(self) -> Delta:
        """Return the next delta."""
        delta = self.poll()
        if delta is None:
            raise StopIteration
        return delta

    def close(self) -> None:
        """End; an abort unless the last delta was returned."""
        self.was_aborted = self.was_aborted or not self._is_whole
        self.is_over.set()

    def cancel(self) -> None:
        """Do what the engine does when it can wait no longer."""
        self._cancelled.set()

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended."""
        self._check_whole()
        return "length" if self._n_tokens == self.params.max_tokens else "stop"

    @property
    def usage(self) -> Usage:
        """What it cost."""
        self._check_whole()
        return Usage(
            prompt_tokens=len(self.prompt.tokens),
            completion_tokens=self._n_tokens,
            cached_tokens=1,
        )

    @property
    def timings(self) -> Timings:
        """How long it took."""
        self._check_whole()
        return Timings(
            cache_n=1,
            prompt_n=len(self.prompt.tokens) - 1,
            prompt_ms=10.0,
            predicted_n=self._n_tokens,
            predicted_ms=20.0,
            queue_ms=5.0,
        )

    def _play(self) -> Delta:
        step = self._steps.popleft() if self._steps else ""
        if isinstance(step, Exception):
            raise step
        self._n_tokens += 1
        delta = Delta(text=str(step), n_tokens=self._n_tokens)
        if not self._steps:
            self._is_whole = True
            delta = replace(delta, finish_reason=self.finish_reason)
        return delta

    def _check_whole(self) -> None:
        if not self._is_whole:
            raise RuntimeError("the generation has not ended")


class FakeLlama:
    """Plays one script for every request.

    Args:
        script: the steps of every generation.
        start_error: raised by :meth:`start` instead.
    """

    def __init__(
        self, script: Sequence[Step] = ("Hel", "lo"), *, start_error: Exception | None = None
    ) -> None:
        self.info = INFO
        self.n_ctx = 4096
        self.defaults = GenerationParams()
        self.script = script
        self.start_error = start_error
        self.state: Literal["ready", "draining", "dead"] = "ready"
        self.generations: list[FakeGeneration] = []
        self.is_closed = False

    def chat_prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        template_kwargs: Mapping[str, Any] | None = None,
        add_generation_prompt: bool = True,
    ) -> FakePrompt:
        """Make one token of each message."""
        return FakePrompt(
            tokens=tuple(range(len(messages))),
            source=messages,
            template_kwargs=template_kwargs,
            add_generation_prompt=add_generation_prompt,
        )

    def text_prompt(self, prompt: str | Sequence[int]) -> FakePrompt:
        """Make one token of each character; token ids stay what they are."""
        if not prompt:
            raise InvalidRequest("prompt must not be empty", param="prompt")
        tokens = tuple(map(ord, prompt)) if isinstance(prompt, str) else tuple(prompt)
        return FakePrompt(tokens=tokens, source=prompt)

    def start(
        self, prompt: FakePrompt, params: GenerationParams, *, request_id: str | None = None
    ) -> FakeGeneration:
        """Start to play the script."""
        if self.state == "draining":
            raise Draining("the server is shutting down")
        if self.start_error is not None:
            raise self.start_error
        generation = FakeGeneration(prompt, params, self.script, request_id or "none")
        self.generations.append(generation)
        return generation

    def status(self) -> FakeStatus:
        """Tell the state."""
        return FakeStatus(state=self.state)

    def drain(self, timeout_s: float) -> None:
        """Wait for the generations, cancel those that are left."""
        self.state = "draining"
        deadline_s = time.monotonic() + timeout_s
        for generation in list(self.generations):
            if not generation.is_over.wait(max(deadline_s - time.monotonic(), 0.0)):
                generation.cancel()

    def close(self) -> None:
        """Cancel all."""
        self.is_closed = True
        for generation in list(self.generations):
            generation.cancel()
