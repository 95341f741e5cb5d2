"""A request's progress: its tokens, and how many of them have KV cells."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

    __slots__ = ("awaits", "n_past", "n_prompt", "request", "slot", "status", "tokens")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.tokens = list(request.tokens)
        self.n_prompt = len(self.tokens)
        self.n_past = 0
        self.status = Status.WAITING
        self.slot: Slot | None = None
        # A running sequence and the n_past of it that this one waits for.
        self.awaits: tuple[Sequence, int] | None = None

    @property
    def n_pending(self) -> int:
        """Tokens that still have no KV cell."""
        return len(self.tokens) - self.n_past

    @property
    def n_generated(self) -> int:
        """Tokens sampled so far."""
        return len(self.tokens) - self.n_prompt

    @property
    def is_decoding(self) -> bool:
        """Whether only the last sampled token is pending."""
        return self.n_pending == 1 and len(self.tokens) > self.n_prompt

    def __repr__(self) -> str:
        """Return id, status and progress."""
        return (
            f"<Sequence {self.request.id} {self.status.value} "
            f"{self.n_past}/{len(self.tokens)} tokens, prompt {self.n_prompt}>"
        )
