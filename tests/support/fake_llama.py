"""A :class:`pyllama.Llama` without a model: it plays a script, and remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import Cancelled, Draining, InvalidRequest
from pyllama.generations import Generations, Rings
from pyllama.metrics import Histogram, Metrics
from pyllama.params import GenerationParams
from pyllama.results import (
    Completion,
    Delta,
    EngineStatus,
    FinishReason,
    ModelInfo,
    QueuePlace,
    Timings,
    TokenLogprobs,
    Usage,
)
from pyllama.settings.settings import Settings
from pyllama.text.answer import Answer
from pyllama.text.output import OutputDelta
from tests.support.fake_card import FakeCard
from tests.support.fake_embeddings import FakeEmbeddings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Step = str | OutputDelta | float | Exception
"""What a script is made of: what one token adds, seconds to wait, or a failure."""

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
        self._n_tokens = 0
        self._answer = Answer()
        self._is_whole = False
        self._cancelled = threading.Event()

    def poll(self, timeout_s: float | None = None) -> Delta | None:
        """Return the next delta, or ``None`` when it is not due within the timeout."""
        if self._is_whole:
            raise StopIteration
        left_s = self._left_s()
        wait_s = left_s if timeout_s is None else min(left_s, timeout_s)
        if self._cancelled.wait(max(wait_s, 0.0)):
            if self.is_over.is_set():
                raise StopIteration
            raise Cancelled("the server is shutting down")
        if timeout_s is not None and left_s > timeout_s:
            return None
        return self._play()

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
            stop_sequence=self.stop_sequence,
            logprobs=self._answer.logprobs,
            prompt_logprobs=self.prompt_logprobs,
        )

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
    def is_due(self) -> bool:
        """Whether :meth:`poll` need not wait."""
        return self._cancelled.is_set() or self._left_s() <= 0

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
    """Several of them, asked in turn instead of woken."""

    def __init__(self, generations: Sequence[FakeGeneration]) -> None:
        made: Any = generations
        super().__init__(made, Rings())
        self._fakes = tuple(generations)
        self._open = deque(range(len(generations)))
        self._listener: Callable[[], None] | None = None

    def poll(self, timeout_s: float | None = None) -> tuple[int, Delta] | None:
        """Return the next delta of the first that has one."""
        for _ in range(len(self._open)):
            index = self._open.popleft()
            delta = self.generations[index].poll(timeout_s)
            if delta is None or delta.finish_reason is None:
                self._open.append(index)
            if delta is not None:
                return index, delta
        if not self._open:
            raise StopIteration
        return None

    @property
    def has_news(self) -> bool:
        """Whether one of them has a delta that is due, or has ended."""
        return not self._open or any(self._fakes[index].is_due for index in self._open)

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call a function again and again: a script does not tell when a step is due."""
        self._listener = listener
        if listener is not None:
            threading.Thread(target=self._remind, args=(listener,), daemon=True).start()

    def _remind(self, listener: Callable[[], None]) -> None:
        while self._listener is listener:
            listener()
            time.sleep(0.005)


class FakeLlama:
    """Plays one script for every request.

    Args:
        script: the steps of every generation.
        start_error: raised by :meth:`start` instead.
        metrics: whether they were switched on.

    Attributes:
        stop_sequence: what the answers say to have ended at.
    """

    def __init__(
        self,
        script: Sequence[Step] = ("Hel", "lo"),
        *,
        start_error: Exception | None = None,
        metrics: bool = False,
    ) -> None:
        self.info = INFO
        self.card = FakeCard()
        self.settings = Settings(metrics=metrics)
        self.n_ctx = 4096
        self.devices = ("CPU",)
        self.defaults = GenerationParams()
        self.script = script
        self.start_error = start_error
        self.stop_sequence: str | None = None
        self.state: Literal["ready", "draining", "dead"] = "ready"
        self.generations: list[FakeGeneration] = []
        self.embed_s = 0.0
        self.embeddings: list[FakeEmbeddings] = []
        self.is_closed = False

    def chat_prompt(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> FakePrompt:
        """Make one token of each message; remember everything."""
        return FakePrompt(tokens=tuple(range(len(messages))), source=messages, options=options)

    def text_prompt(self, prompt: str | Sequence[int], **options: Any) -> FakePrompt:
        """Make one token of each character; token ids stay what they are."""
        if not prompt:
            raise InvalidRequest("prompt must not be empty", param="prompt")
        tokens = tuple(map(ord, prompt)) if isinstance(prompt, str) else tuple(prompt)
        return FakePrompt(tokens=tokens, source=prompt, options=options)

    def infill_prompt(self, prefix: str, suffix: str, **options: Any) -> FakePrompt:
        """Make a prompt that remembers both."""
        return FakePrompt(tokens=(1, 2, 3), source=(prefix, suffix), options=options)

    def tokenize(self, text: str, **_options: bool) -> list[int]:
        """Return one token for each character."""
        return list(map(ord, text))

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """Return one character for each token."""
        return "".join(map(chr, tokens))

    def piece(self, token: int) -> bytes:
        """Return a character's bytes, or those of a step of the script."""
        if token < FIRST_TOKEN:
            return chr(token).encode()
        step = [step for step in self.script if not isinstance(step, float)][token - FIRST_TOKEN]
        assert not isinstance(step, Exception)
        if isinstance(step, str):
            return step.encode()
        calls = "".join(call.arguments for call in step.tool_calls)
        return (step.reasoning + step.content + calls).encode()

    def start_all(
        self,
        wanted: Sequence[tuple[FakePrompt, GenerationParams]],
        *,
        request_id: str | None = None,
    ) -> FakeGenerations:
        """Start to play the script for each."""
        if self.state == "draining":
            raise Draining("the server is shutting down")
        if self.start_error is not None:
            raise self.start_error
        made = [FakeGeneration(*pair, self.script, request_id or "none") for pair in wanted]
        for generation in made:
            generation.stop_sequence = self.stop_sequence
        self.generations.extend(made)
        return FakeGenerations(made)

    def start(self, prompt: FakePrompt, params: GenerationParams) -> FakeGeneration:
        """Start to play the script once."""
        made: Any = self.start_all([(prompt, params)]).generations[0]
        return made  # type: ignore[no-any-return]

    def start_embed(self, inputs: str | Sequence[Any], **options: Any) -> FakeEmbeddings:
        """Start to embed."""
        if self.start_error is not None:
            raise self.start_error
        self.embeddings.append(FakeEmbeddings.of(inputs, wait_s=self.embed_s, **options))
        return self.embeddings[-1]

    def status(self) -> EngineStatus:
        """Tell the state."""
        return EngineStatus(state=self.state, n_slots=4, n_busy=0, n_waiting=0)

    def metrics(self) -> Metrics:
        """Return some counts."""
        histogram = Histogram((0.5, 1.0))
        for value in (0.2, 0.7, 3.0):
            histogram.observe(value)
        return Metrics(
            prompt_tokens=100,
            cached_tokens=40,
            prompt_s=2.0,
            predicted_tokens=60,
            predicted_s=3.0,
            n_steps=30,
            n_sequence_steps=90,
            n_prefix_hits=5,
            n_started=9,
            n_preempted=1,
            n_drafted=20,
            n_draft_accepted=15,
            n_ram_entries=2,
            n_ram_bytes=4096,
            n_ram_hits=1,
            n_ram_tokens=50,
            finished={"stop": 6, "length": 2},
            n_slots=4,
            n_busy=1,
            n_waiting=2,
            n_cells=4096,
            n_cells_used=200,
            n_tokens_max=70,
            queue_s=histogram.snapshot(),
            ttft_s=histogram.snapshot(),
            token_gap_s=histogram.snapshot(),
            step_s=histogram.snapshot(),
        )

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
