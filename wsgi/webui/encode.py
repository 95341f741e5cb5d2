"""Answers to the page's events, or to one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..ids import random_id
from ..partial import tool_input
from ..segments import Closed, Grown, Segment, Segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta

    from ..errors import ErrorInfo
    from ..segments import Change

QUEUE_S = 1.0
"""Seconds of silence after which a request that waits tells its place."""


class WebChatEncoder:
    """Encodes one answer.

    Args:
        model: the model's name.
        session_id: the session that asks.
        shows_thinking: whether the reasoning is told.
    """

    media_type = "text/event-stream"

    def __init__(self, model: str, session_id: str, *, shows_thinking: bool) -> None:
        self.completion_id = random_id("msg_")
        self.generations: Generations
        """The answer in the making; to be set before a stream is read."""
        self._head = {
            "messageId": self.completion_id,
            "model": model,
            "sessionId": session_id,
        }
        self._shows_thinking = shows_thinking
        self._segments = Segments()

    def take(self, delta: Delta) -> None:
        """Take in a piece of an answer that is not streamed."""
        for _ in self._segments.take(delta):
            pass

    def whole(self, completions: Sequence[Completion], generations: Generations) -> dict[str, Any]:
        """Return the answer and its figures as one object."""
        parts = self._segments.all
        thinking = _text(parts, "reasoning") if self._shows_thinking else ""
        return {
            "role": "assistant",
            "content": _text(parts, "text"),
            "thinking": thinking,
            "tool_calls": [_call(part) for part in parts if part.kind == "call"],
            **self._done(generations, finish_reason=completions[0].finish_reason),
        }

    @property
    def ping(self) -> bytes:
        """What fills a silence: the place in the queue, or a comment once there is none."""
        return self._place() or b": ping\n\n"

    def begin(self) -> bytes:
        """Return the event that names the answer, and the place in the queue if it has to wait."""
        return _event(**self._head) + self._place()

    def delta(self, _index: int, delta: Delta) -> bytes | None:
        """Return the events with a piece of the answer; a call is told when it is whole."""
        events = [self._event_of(change) for change in self._segments.take(delta)]
        return b"".join(events) or None

    def end(self, generations: Generations) -> bytes:
        """Return the event with all figures."""
        reason = generations.completions[0].finish_reason
        return _event(**self._done(generations, finish_reason=reason))

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed, with the figures so far."""
        failure = {
            "error": info.message,
            "errorType": info.type,
            # Not by who asked: the server shuts down.
            "aborted": info.type == "unavailable_error",
        }
        return _event(**(self._done(self.generations, finish_reason=None) | failure))

    def _place(self) -> bytes:
        place = self.generations.queue_place
        if place is None:
            return b""
        return _event(queue_position=place.position, queue_pending=place.n_waiting)

    def _event_of(self, change: Change) -> bytes:
        segment = change.segment
        if isinstance(change, Closed) and segment.kind == "call":
            return _event(tool_calls=[_call(segment)])
        if isinstance(change, Grown) and segment.kind == "text":
            return _event(token=change.piece)
        if isinstance(change, Grown) and segment.kind == "reasoning" and self._shows_thinking:
            return _event(thinking=change.piece)
        return b""

    def _done(self, generations: Generations, *, finish_reason: str | None) -> dict[str, Any]:
        usage, timings = generations.usage, generations.timings
        elapsed_s = (timings.prompt_ms + timings.predicted_ms) / 1e3
        n_tokens, n_prompt = usage.completion_tokens, usage.prompt_tokens
        return {
            "done": True,
            **self._head,
            "tokenCount": n_tokens,
            "elapsed": elapsed_s,
            "tokPerSec": n_tokens / elapsed_s if elapsed_s > 0 else 0.0,
            "aborted": False,
            "error": None,
            "finishReason": finish_reason,
            "promptTokens": n_prompt,
            "kvReusedTokens": usage.cached_tokens,
            "kvReusePercent": 100 * usage.cached_tokens / n_prompt if n_prompt else 0.0,
            "queued": timings.queue_ms / 1e3,
            "ttft": (timings.queue_ms + timings.prompt_ms) / 1e3,
            "timings": timings.as_dict(),
        }


def _text(segments: Sequence[Segment], kind: str) -> str:
    return "".join(segment.text for segment in segments if segment.kind == kind)


def _call(segment: Segment) -> dict[str, Any]:
    return {"id": segment.id, "name": segment.name, "arguments": tool_input(segment.text)}


def _event(**members: Any) -> bytes:
    return b"data: " + orjson.dumps(members) + b"\n\n"
