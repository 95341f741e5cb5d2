"""A request's progress: its tokens, and how many of them have KV cells."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.results import TokenLogprobs
    from pyllama.sched.media import MediaSpan
    from pyllama.sched.request import Request
    from pyllama.sched.slot import Slot


class Status(enum.Enum):
    """Where a sequence stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


class Sequence:
    """Prompt and generated tokens of one request.

    There are no phases: ``n_past`` catches up with ``len(tokens)``, by a chunk or by one token.
    The scheduler alone writes to it.
    """

    __slots__ = (
        "awaits",
        "n_past",
        "n_prompt",
        "prompt_logprobs",
        "request",
        "slot",
        "status",
        "tokens",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.tokens = list(request.tokens)
        self.n_prompt = len(self.tokens)
        self.n_past = 0
        # How likely the prompt's tokens from the second on were, where the request asks for it.
        self.prompt_logprobs: list[TokenLogprobs] = []
        self.status = Status.WAITING
        self.slot: Slot | None = None
        # A running sequence and the n_past of it that this one waits for.
        self.awaits: tuple[Sequence, int] | None = None

    @property
    def n_pending(self) -> int:
        """Tokens that still have no KV cell."""
        return len(self.tokens) - self.n_past

    @property
    def n_ready(self) -> int:
        """Pending tokens that a batch of text can take: those before the next piece of media."""
        ahead = [span.start for span in self.request.media if span.start >= self.n_past]
        return min(ahead, default=len(self.tokens)) - self.n_past

    @property
    def media_due(self) -> MediaSpan | None:
        """The piece of media that is next to be computed; None where text is."""
        return next((span for span in self.request.media if span.start == self.n_past), None)

    @property
    def n_generated(self) -> int:
        """Tokens sampled so far."""
        return len(self.tokens) - self.n_prompt

    @property
    def is_decoding(self) -> bool:
        """Whether only the last sampled token is pending."""
        n_tokens = len(self.tokens)
        return n_tokens - self.n_past == 1 and n_tokens > self.n_prompt

    @property
    def n_unscored(self) -> int:
        """Prompt tokens of which it is still to be found out how likely they were."""
        if self.request.prompt_logprobs is None:
            return 0
        return self.n_prompt - 1 - len(self.prompt_logprobs)

    def n_scorable(self, n_rows: int) -> int:
        """Return how many pending tokens can be computed with so many rows of logits to score."""
        if self.n_unscored <= n_rows:
            return self.n_pending
        # After a preemption what is scored already needs no rows again.
        return len(self.prompt_logprobs) - self.n_past + n_rows

    def scored_by(self, count: int) -> range:
        """Return which of the next ``count`` positions have to score the token after them."""
        if self.request.prompt_logprobs is None:
            return range(0)
        n_scored = len(self.prompt_logprobs)
        end = min(self.n_past + count, n_scored + self.n_unscored)
        return range(min(max(self.n_past, n_scored), end), end)

    def __repr__(self) -> str:
        """Return id, status and progress."""
        return (
            f"<Sequence {self.request.id} {self.status.value} "
            f"{self.n_past}/{len(self.tokens)} tokens, prompt {self.n_prompt}>"
        )


def slot_of(sequence: Sequence) -> Slot:
    """Return the slot of a sequence that runs."""
    slot = sequence.slot
    if slot is None:
        raise AssertionError(f"{sequence!r} runs without a slot")
    return slot
