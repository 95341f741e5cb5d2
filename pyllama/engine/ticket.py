"""A request's place in the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyllama.engine.stream import Failed, Mailbox
from pyllama.errors import InvalidResponse
from pyllama.sched import Request, Status

if TYPE_CHECKING:
    from pyllama.errors import PyllamaError
    from pyllama.sched import Finished, Sequence


class Ticket:
    """A request's place in the engine: what its owner holds to read and to abort it."""

    __slots__ = (
        "abort_reason",
        "finished",
        "has_started",
        "last_token_s",
        "request",
        "sequence",
        "stream",
    )

    def __init__(self, request: Request, mailbox: Mailbox | None = None) -> None:
        self.request = request
        self.stream = (mailbox or Mailbox()).stream()
        self.abort_reason: str | None = None
        # The rest is set by the engine thread only.
        self.sequence: Sequence | None = None
        self.finished: Finished | None = None
        """How it ended by itself."""
        self.has_started = False
        self.last_token_s: float | None = None
        """When its newest token came, seconds on the engine's clock."""

    def abort(self, reason: str) -> None:
        """Note that nobody reads the stream any more; the first reason counts."""
        if self.abort_reason is None:
            self.abort_reason = reason
        self.stream.close()

    def end(self, error: PyllamaError | None) -> None:
        """Drop what holds the model, and let the stream end: with the error, or as it finished."""
        self.request = replace(self.request, sampler=None, media=())
        if self.sequence is not None:
            self.sequence.request = self.request
        if error is not None:
            self.stream.put(Failed(error))
        elif self.finished is not None:
            self.stream.put(self.finished)

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
