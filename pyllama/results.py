"""What comes back from a request: deltas while it runs, usage and timings at its end."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls"]
"""``stop``: an end-of-generation token or a stop string; ``length``: max_tokens or the context;
``tool_calls``: the answer ended by itself and calls tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a request was charged with, counted."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Prompt tokens whose KV cells were reused instead of computed."""
    reasoning_tokens: int = 0
    """Generated tokens whose text, or a part of it, is reasoning; its marks are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Durations of one request, measured on the engine thread.

    The field names of :meth:`as_dict` are llama-server's ``timings`` object.
    """

    cache_n: int
    prompt_n: int
    """Prompt tokens computed, that is without the cached ones."""
    prompt_ms: float
    """First scheduled to first token."""
    predicted_n: int
    predicted_ms: float
    """First token to last token."""
    queue_ms: float = 0.0
    """Submitted to first scheduled."""
    draft_n: int = 0
    """Tokens that speculative decoding guessed."""
    draft_n_accepted: int = 0
    """Those of them that were sampled as well."""

    def as_dict(self) -> dict[str, Any]:
        """Return llama-server's ``timings`` object; every number is finite."""
        # The first token comes out of the prompt's logits: it is no decoded interval.
        n_intervals = max(self.predicted_n - 1, 0)
        drafts = {"draft_n": self.draft_n, "draft_n_accepted": self.draft_n_accepted}
        return {
            "cache_n": self.cache_n,
            "prompt_n": self.prompt_n,
            "prompt_ms": self.prompt_ms,
            "prompt_per_token_ms": _ratio(self.prompt_ms, self.prompt_n),
            "prompt_per_second": _ratio(1e3 * self.prompt_n, self.prompt_ms),
            "predicted_n": self.predicted_n,
            "predicted_ms": self.predicted_ms,
            "predicted_per_token_ms": _ratio(self.predicted_ms, n_intervals),
            "predicted_per_second": _ratio(1e3 * n_intervals, self.predicted_ms),
            **(drafts if self.draft_n else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprobs:
    """How likely a token was, before any sampler changed the model's mind."""

    token: int
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens at this place and their log probabilities, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function that the model wants called."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of a call: the first one of a call names it, the others continue its arguments."""

    index: int
    """Which of the answer's calls, from 0."""
    id: str
    """Empty after the call's first piece."""
    name: str
    """Empty after the call's first piece."""
    arguments: str


PartKind = Literal["reasoning", "text", "call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPart:
    """A part of an answer that is all of one kind."""

    kind: PartKind
    index: int
    """Its place among the answer's parts, from 0."""
    text: str = ""
    """Reasoning, text, or the arguments of a call."""
    id: str = ""
    """The id of a call."""
    name: str = ""
    """The function of a call."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Those of text, where the request asked for them."""
    is_whole: bool = True
    """False where it goes on, or the answer reached its limit here."""


@dataclass(frozen=True, slots=True)
class PartOpened:
    """A part of an answer began; it is empty."""

    part: AnswerPart


@dataclass(frozen=True, slots=True)
class PartGrown:
    """A part of an answer got longer."""

    part: AnswerPart
    """As it was when it began."""
    text: str
    """What it got."""
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class PartClosed:
    """A part of an answer ended."""

    part: AnswerPart


PartChange = PartOpened | PartGrown | PartClosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What became certain since the last delta; the last one carries the end.

    ``text`` and ``reasoning`` hold whole UTF-8 characters only, and never a part of a stop
    string. Everything may be empty in the last delta.
    """

    text: str
    """The answer itself: content, without reasoning and tool calls."""
    n_tokens: int
    """Generated tokens so far."""
    finish_reason: FinishReason | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    """One for each token sampled since the last delta, where the request asked for them."""
    changes: tuple[PartChange, ...] = ()
    """The same, as what happened to the answer's parts, in its order; one is open at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer."""

    text: str
    """The answer itself: content, without reasoning and tool calls."""
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    """One for each token, where the request asked for them."""
    prompt_logprobs: tuple[TokenLogprobs, ...] = ()
    """One for each prompt token but the first, where the request asked for them."""
    parts: tuple[AnswerPart, ...] = ()
    """Text, reasoning and calls once more, in the order in which they came."""
    parsed: Any = None
    """What the content stands for, where ``response_format`` gave it a form and it is whole."""
    stop_sequence: str | None = None
    """The stop string that ended it, if one did; it is not in the text."""

    def __str__(self) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """Where a request waits for a slot."""

    position: int
    """Its place in the order of arrival: 1 is next."""
    n_waiting: int
    """Accepted requests without a slot, itself included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What one input means to the model."""

    rows: tuple[array[float], ...]
    """float32; one row, or with ``--pooling none`` one for each token."""
    n_tokens: int

    @property
    def vector(self) -> array[float]:
        """The only row.

        Raises:
            ValueError: there is one for each token.
        """
        (row,) = self.rows
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """The embeddings of one request, in the order of its inputs."""

    data: tuple[Embedding, ...]
    prompt_tokens: int
    """Tokens of all inputs, counted."""
    queue_ms: float
    """Submitted to the first batch that holds a part of it."""
    compute_ms: float
    """First batch to last, those of others between them included."""

    @property
    def vectors(self) -> list[array[float]]:
        """The vectors, for a model whose rows are pooled."""
        return [embedding.vector for embedding in self.data]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """What the engine is doing now."""

    state: Literal["ready", "draining", "dead"]
    n_slots: int
    n_busy: int
    """Slots that compute."""
    n_waiting: int
    """Accepted requests without a slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Facts about the loaded model, read from the file."""

    id: str
    """Name under which the model is served: the alias, else the file's name."""
    path: str
    created: int
    """Unix time at which it was loaded."""
    description: str
    architecture: str
    n_vocab: int
    n_ctx_train: int
    n_embd: int
    n_params: int
    size_bytes: int
    can_generate: bool = True
    """Whether it generates text; every model makes embeddings."""
    pooling: str = "mean"
    """How an input's tokens become one embedding: ``none``, ``mean``, ``cls``, ``last``, and
    ``rank`` for a model that makes none."""
    has_vision: bool = False
    """Whether it takes pictures and videos, through a projector."""
    has_audio: bool = False
    """Whether it takes sound, through a projector."""
    projector_path: str | None = None
    """The projector's file."""


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0
