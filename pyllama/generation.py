"""An answer as it is made: an iterator of deltas, and its usage and timings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyllama.engine import Engine, Failed
from pyllama.errors import InvalidResponse
from pyllama.process import Process
from pyllama.results import Completion, Delta, FinishReason, Timings, Usage
from pyllama.sched import Finished, PromptScored, Started, TokenSampled, Verified
from pyllama.text import Answer

if TYPE_CHECKING:
    from pyllama.engine import StreamEvent
    from pyllama.engine.ticket import Ticket
    from pyllama.results import AnswerPart, QueuePlace, TokenLogprobs
    from pyllama.structured import ResponseForm
    from pyllama.text import AnswerReader, Prompt


class Generation:
    """An answer in the making, for one consumer.

    Iterate for :class:`~pyllama.results.Delta` objects; the last one has a ``finish_reason``, and
    from then on :attr:`completion` is valid. :meth:`close` ends it early and frees its slot; so
    does leaving it as a context manager, and dropping the last reference to it.
    """

    def __init__(
        self,
        engine: Engine,
        ticket: Ticket,
        reader: AnswerReader,
        prompt: Prompt,
        *,
        owner: object = None,
    ) -> None:
        # Dropping the model would end the answer: whoever reads keeps the model as well.
        self._owner = owner
        self.prompt = prompt
        self.form: ResponseForm | None = None
        """What the content becomes in :attr:`completion`; None leaves it text."""
        self.request_id = ticket.request.id
        self._engine = engine
        self._ticket = ticket
        self._reader = reader
        self.prompt_logprobs: tuple[TokenLogprobs, ...] = ()
        """One for each prompt token but the first, where they were asked for; known before the
        first delta."""
        self._answer = Answer()
        self.tokens: list[int] = []
        """Ids of the answer so far: without its end, but with those of a stop string."""
        self._n_cached = 0
        self._n_drafted = 0
        self._n_accepted = 0
        self._start_s = 0.0
        self._first_token_s = 0.0
        self._last_token_s = 0.0
        self._end_reason: FinishReason | None = None
        self._finish_reason: FinishReason | None = None
        self._is_closed = False
        self._process = Process()

    def __iter__(self) -> Generation:
        """Return itself."""
        return self

    def __next__(self) -> Delta:
        """Wait for the next delta.

        Raises:
            EngineError: the engine failed.
            Cancelled: the engine was shut down before the answer was complete.
            InvalidResponse: the answer is not what was asked for.
        """
        while (delta := self.poll(None)) is None:
            pass
        return delta

    def poll(self, timeout_s: float | None = None) -> Delta | None:
        """Return the next delta, or None where nothing became certain in time.

        Args:
            timeout_s: seconds to wait; None waits for as long as it takes.

        Raises:
            StopIteration: the last delta was returned already, or the generation was closed.
            EngineError: the engine failed.
            Cancelled: the engine was shut down before the answer was complete.
            InvalidResponse: the answer is not what was asked for; no delta follows it.
            Forked: the engine is in another process.
        """
        self._check_open()
        self._process.check()
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._end_reason is None:
            left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
            events = self._ticket.stream.get(left_s)
            # By another thread, while this one waited.
            self._check_open()
            if not events:
                return None
            if (delta := self._read(events)) is not None:
                return delta
        return self.finish()

    def read(self) -> Delta | None:
        """Return what became certain with the events that the mailbox gave; takes a moment.

        It is never the last delta: that is what :meth:`finish` makes once :attr:`is_ending`.
        Raises what :meth:`poll` raises, but for InvalidResponse.
        """
        self._check_open()
        return self._read(self._ticket.stream.take())

    def finish(self) -> Delta:
        """Return the last delta of an answer that is ending.

        May take long: the text is checked against its schema, for example.

        Raises:
            InvalidResponse: the answer is not what was asked for.
        """
        if self._end_reason is None:
            raise RuntimeError("the generation is not ending")
        self._end(self._end_reason)
        delta = self._answer.take(len(self.tokens), self._finish_reason)
        if delta is None:
            # It would be asked for again and again, without an event to wait for.
            raise AssertionError("the end of an answer came without a last delta")
        return delta

    def result(self) -> Completion:
        """Wait for the end; return the whole answer. Ends it where the wait is interrupted."""
        try:
            for _ in self:
                pass
        except BaseException:
            self.close()
            raise
        return self.completion

    @property
    def completion(self) -> Completion:
        """The whole answer.

        Raises:
            RuntimeError: it has not ended.
            InvalidResponse: its content does not become the object that was asked for.
        """
        return Completion(
            text=self._answer.text,
            finish_reason=self.finish_reason,
            usage=self.usage,
            timings=self.timings,
            reasoning=self._answer.reasoning,
            tool_calls=self._answer.tool_calls,
            parts=self.parts,
            logprobs=self._answer.logprobs,
            prompt_logprobs=self.prompt_logprobs,
            parsed=self._parsed(),
            stop_sequence=self._reader.stop_sequence,
        )

    @property
    def parts(self) -> tuple[AnswerPart, ...]:
        """What there is of the answer, in the order in which it came."""
        return self._answer.parts

    def close(self) -> None:
        """End the generation and free its slot; idempotent, from any thread."""
        if not self._is_closed:
            self._is_closed = True
            if self._finish_reason is None:
                self._engine.abort(self._ticket)

    def __enter__(self) -> Generation:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        """Close: an answer that nobody can read any more need not be computed."""
        self.close()

    @property
    def is_ending(self) -> bool:
        """Whether only the work for the last delta is left."""
        return self._end_reason is not None and self._finish_reason is None

    @property
    def is_whole(self) -> bool:
        """Whether the last delta was returned."""
        return self._finish_reason is not None

    @property
    def finish_reason(self) -> FinishReason:
        """Why the answer ended."""
        if self._finish_reason is None:
            raise RuntimeError("the generation has not ended")
        return self._finish_reason

    @property
    def usage(self) -> Usage:
        """Tokens so far, counted."""
        return Usage(
            prompt_tokens=len(self._ticket.request.tokens),
            completion_tokens=len(self.tokens),
            cached_tokens=self._n_cached,
            reasoning_tokens=self._reader.n_reasoning_tokens,
        )

    @property
    def timings(self) -> Timings:
        """Durations so far, as the engine thread saw them."""
        return Timings(
            cache_n=self._n_cached,
            prompt_n=len(self._ticket.request.tokens) - self._n_cached,
            prompt_ms=1e3 * max(self._first_token_s - self._start_s, 0.0),
            predicted_n=len(self.tokens),
            predicted_ms=1e3 * (self._last_token_s - self._first_token_s),
            queue_ms=1e3 * max(self._start_s - self._ticket.request.arrival_s, 0.0),
            draft_n=self._n_drafted,
            draft_n_accepted=self._n_accepted,
        )

    @property
    def queue_place(self) -> QueuePlace | None:
        """Where it waits for a slot; None where it does not."""
        return self._engine.place(self._ticket)

    def _parsed(self) -> Any:
        """Return the content as what it stands for; of a part of an answer, nothing."""
        if self.form is None or self._finish_reason != "stop":
            return None
        return self.form.parse(self._answer.text)

    def _check_open(self) -> None:
        if self._finish_reason is not None or self._is_closed:
            raise StopIteration

    def _read(self, events: list[StreamEvent]) -> Delta | None:
        self._consume(events)
        return None if self.is_ending else self._answer.take(len(self.tokens), None)

    def _consume(self, events: list[StreamEvent]) -> None:
        """Read events until they end or the answer does."""
        for event in events:
            if isinstance(event, TokenSampled):
                self._take(event)
            elif isinstance(event, Verified):
                self._n_drafted += event.n_drafted
                self._n_accepted += event.n_accepted
            elif isinstance(event, Finished):
                self._end_reason = event.reason
            elif isinstance(event, Failed):
                self.close()
                raise event.error
            elif isinstance(event, PromptScored):
                self.prompt_logprobs = event.logprobs
            else:
                self._begin(event)
            if self._end_reason is not None:
                break

    def _begin(self, event: Started) -> None:
        # A preempted sequence starts again; the prompt was computed the first time.
        if self._start_s == 0.0:
            self._start_s = event.now_s
            self._n_cached = event.n_cached

    def _take(self, event: TokenSampled) -> None:
        self.tokens.append(event.token)
        self._last_token_s = event.now_s
        if len(self.tokens) == 1:
            self._first_token_s = event.now_s
        self._answer.add(self._reader.feed(event.token))
        if event.logprobs is not None:
            self._answer.add_logprobs(event.logprobs)
        if self._reader.is_stopped:
            # The engine does not know of text: to it this is an ordinary abort.
            self._engine.abort(self._ticket, "stop")
            self._end_reason = "stop"

    def _end(self, reason: FinishReason) -> None:
        self._finish_reason = reason
        try:
            for piece in self._reader.finish(is_cut=reason == "length"):
                self._answer.add(piece)
        except InvalidResponse:
            self.close()
            raise
        if reason == "stop" and self._reader.has_tool_calls:
            self._finish_reason = "tool_calls"
