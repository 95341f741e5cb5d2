"""Answers to the page's events, or to one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.results import PartClosed, PartGrown

from ..partial import tool_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.generations import Generations
    from pyllama.results import AnswerPart, Completion, Delta, PartChange

    from ..errors import ErrorInfo

QUEUE_S = 1.0
"""Seconds of silence after which a request that waits tells its place."""


class WebChatEncoder:
    """Encodes one answer.

    Args:
        model: the model's name.
        session_id: the session that asks.
        generations: the answer in the making.
        shows_thinking: whether the reasoning is told.
    """

    media_type = "text/event-stream"

    def __init__(
        self, model: str, session_id: str, generations: Generations, *, shows_thinking: bool
    ) -> None:
        self._generations = generations
        self._head = {
            "messageId": generations.generations[0].request_id,
            "model": model,
            "sessionId": session_id,
        }
        self._shows_thinking = shows_thinking

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the answer and its figures as one object."""
        (completion,) = completions
        return {
            "role": "assistant",
            "content": completion.text,
            "thinking": completion.reasoning if self._shows_thinking else "",
            "tool_calls": [_call(part) for part in completion.parts if part.kind == "call"],
            **self._done(finish_reason=completion.finish_reason),
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
        events = [self._event_of(change) for change in delta.changes]
        return b"".join(events) or None

    def end(self, generations: Generations) -> bytes:
        """Return the event with all figures."""
        reason = generations.completions[0].finish_reason
        return _event(**self._done(finish_reason=reason))

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed, with the figures so far."""
        failure = {
            "error": info.message,
            "errorType": info.type,
            # Not by who asked: the server shuts down.
            "aborted": info.type == "unavailable_error",
        }
        return _event(**(self._done(finish_reason=None) | failure))

    def _place(self) -> bytes:
        place = self._generations.queue_place
        if place is None:
            return b""
        return _event(queue_position=place.position, queue_pending=place.n_waiting)

    def _event_of(self, change: PartChange) -> bytes:
        part = change.part
        if isinstance(change, PartClosed) and part.kind == "call":
            return _event(tool_calls=[_call(part)])
        if isinstance(change, PartGrown) and part.kind == "text":
            return _event(token=change.text)
        if isinstance(change, PartGrown) and part.kind == "reasoning" and self._shows_thinking:
            return _event(thinking=change.text)
        return b""

    def _done(self, *, finish_reason: str | None) -> dict[str, Any]:
        usage, timings = self._generations.usage, self._generations.timings
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


def _call(part: AnswerPart) -> dict[str, Any]:
    return {"id": part.id, "name": part.name, "arguments": tool_input(part.text)}


def _event(**members: Any) -> bytes:
    return b"data: " + orjson.dumps(members) + b"\n\n"
