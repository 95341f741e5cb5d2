"""A :class:`pyllama.Llama` without a model: it plays a script, and remembers what it was asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import Draining, InvalidRequest
from pyllama.metrics import Histogram, Metrics
from pyllama.params import GenerationParams
from pyllama.recommendation import Recommendation
from pyllama.results import (
    EngineStatus,
    ModelInfo,
)
from pyllama.settings.settings import Settings
from pyllama.text import ChatOptions
from tests.support.fake_card import FakeCard
from tests.support.fake_embeddings import FakeEmbeddings
from tests.support.fake_generation import (
    FIRST_TOKEN,
    FakeGeneration,
    FakeGenerations,
    FakePrompt,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
        self.recommended = Recommendation()
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
        ChatOptions(**options)
        return FakePrompt(
            tokens=tuple(range(len(messages))), source=messages, options=options, text="rendered"
        )

    def text_prompt(
        self,
        prompt: str | Sequence[int],
        *,
        json_schema: Mapping[str, Any] | bool | None = None,
        grammar: str | None = None,
    ) -> FakePrompt:
        """Make one token of each character; token ids stay what they are."""
        if not prompt:
            raise InvalidRequest("prompt must not be empty", param="prompt")
        tokens = tuple(map(ord, prompt)) if isinstance(prompt, str) else tuple(prompt)
        asked = {"json_schema": json_schema, "grammar": grammar}
        options = {name: value for name, value in asked.items() if value is not None}
        return FakePrompt(tokens=tokens, source=prompt, options=options)

    def infill_prompt(
        self, prefix: str | Sequence[int], suffix: str, **constraint: Any
    ) -> FakePrompt:
        """Make a prompt that remembers both."""
        options = self.text_prompt("x", **constraint).options
        return FakePrompt(tokens=(1, 2, 3), source=(prefix, suffix), options=options)

    def tokenize(
        self,
        text: str,
        *,
        special: bool = False,
        add_special: bool | None = None,
        parse_special: bool | None = None,
    ) -> list[int]:
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

    def start(
        self, prompt: FakePrompt, params: GenerationParams, *, request_id: str | None = None
    ) -> FakeGeneration:
        """Start to play the script once."""
        made: Any = self.start_all([(prompt, params)], request_id=request_id).generations[0]
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

    def drain(self, timeout_s: float) -> bool:
        """Wait for the generations, cancel those that are left."""
        self.state = "draining"
        deadline_s = time.monotonic() + timeout_s
        are_over = True
        for generation in list(self.generations):
            if not generation.is_over.wait(max(deadline_s - time.monotonic(), 0.0)):
                generation.cancel()
                are_over = False
        return are_over

    def close(self) -> None:
        """Cancel all."""
        self.is_closed = True
        for generation in list(self.generations):
            generation.cancel()
