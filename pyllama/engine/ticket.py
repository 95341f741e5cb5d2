"""A request's place in the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyllama.engine.stream import Mailbox
from pyllama.errors import InvalidResponse
from pyllama.sched import Request, Status

if TYPE_CHECKING:
    from pyllama.sched import Sequence


class Ticket:
    """A request's place in the engine: what its owner holds to read and to abort it."""

    __slots__ = ("abort_reason", "request", "sequence", "stream")

    def __init__(self, request: Request, mailbox: Mailbox | None = None) -> None:
        self.request = request
        self.stream = (mailbox or Mailbox()).stream()
        self.abort_reason = "cancelled"
        # Set by the engine thread only.
        self.sequence: Sequence | None = None

    def release(self) -> None:
        """Drop what holds the model; the rest is for whoever reads what came of the request."""
        self.request = replace(self.request, sampler=None, media=())
        if self.sequence is not None:
            self.sequence.request = self.request

    @property
    def fault(self) -> InvalidResponse | None:
        """Why the answer, although it ended by itself, is none: its grammar was given up."""
        if getattr(self.request.sampler, "has_given_up", False):
            return InvalidResponse(
                "the grammar or schema of the answer is too ambiguous: a token takes too long; "
                "repeat no group that may be empty or holds a repetition"
            )
        return None

    @property
    def is_waiting(self) -> bool:
        """Whether the request has no slot yet, or gave up the one that it had."""
        sequence = self.sequence
        return sequence is None or sequence.status is Status.WAITING
