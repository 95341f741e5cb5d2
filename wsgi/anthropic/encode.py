"""Answers to Anthropic's messages and events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.results import PartClosed, PartOpened

from ..partial import tool_input
from .errors import anthropic_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.generations import Generations
    from pyllama.params import GenerationParams
    from pyllama.results import AnswerPart, Completion, Delta, ModelInfo, PartChange, Usage

    from ..errors import ErrorInfo

_COMMENT = b": ping\n\n"


class MessageEncoder:
    """Encodes one answer, whole or streamed; both are made of the same parts.

    Args:
        info: the model.
        params: of the generation.
        generations: the answer in the making; they know what the prompt cost.
        shows_thinking: whether thinking blocks have their text.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        info: ModelInfo,
        params: GenerationParams,
        generations: Generations,
        *,
        shows_thinking: bool = True,
    ) -> None:
        # No event may come before the first, which waits for its numbers.
        self.ping: bytes | None = _COMMENT
        self._model = info.id
        self._params = params
        self._shows_thinking = shows_thinking
        self._generations = generations
        self._is_started = False

    # ---- an answer at once --------------------------------------------------------------------

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the answer as one message."""
        return {
            **self._message(usage_object(self._generations.usage)),
            "content": [self._block(part) for part in completions[0].parts],
            **self._ending(completions[0]),
        }

    # ---- a stream -----------------------------------------------------------------------------

    def begin(self) -> None:
        """Return nothing: how much of the prompt was cached shows with the first token."""

    def delta(self, _index: int, delta: Delta) -> bytes | None:
        """Return the events with a piece of the answer."""
        events = b"" if self._is_started else self._start_event()
        events += b"".join([self._event_of(change) for change in delta.changes])
        return events or None

    def end(self, generations: Generations) -> bytes:
        """Return the events that say why it ended, and that it did."""
        ending = self._ending(generations.completions[0])
        usage = usage_object(generations.usage)
        return _event("message_delta", delta=ending, usage=usage) + _event("message_stop")

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed."""
        return b"event: error\ndata: " + orjson.dumps(anthropic_error(info)) + b"\n\n"

    def _start_event(self) -> bytes:
        self._is_started = True
        self.ping = _event("ping")
        return _event("message_start", message=self._message(usage_object(self._generations.usage)))

    def _event_of(self, change: PartChange) -> bytes:
        part = change.part
        if isinstance(change, PartOpened):
            block = _empty_block(part)
            return _event("content_block_start", index=part.index, content_block=block)
        if isinstance(change, PartClosed):
            stop = _event("content_block_stop", index=part.index)
            if part.kind != "reasoning":
                return stop
            delta = {"type": "signature_delta", "signature": _signature(part)}
            return _event("content_block_delta", index=part.index, delta=delta) + stop
        if part.kind == "reasoning" and not self._shows_thinking:
            return b""
        delta = _piece(part, change.text)
        return _event("content_block_delta", index=part.index, delta=delta)

    # ---- parts of both ------------------------------------------------------------------------

    def _message(self, usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self._generations.generations[0].request_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }

    def _ending(self, completion: Completion) -> dict[str, Any]:
        reason = "end_turn"
        stop_sequence = None
        if completion.finish_reason == "tool_calls":
            reason = "tool_use"
        elif completion.finish_reason == "length":
            is_asked = completion.usage.completion_tokens >= self._params.max_tokens
            reason = "max_tokens" if is_asked else "model_context_window_exceeded"
        elif completion.stop_sequence in self._params.stop:
            # A stop string of the chat template is the end of a turn.
            reason, stop_sequence = "stop_sequence", completion.stop_sequence
        return {"stop_reason": reason, "stop_sequence": stop_sequence}

    def _block(self, part: AnswerPart) -> dict[str, Any]:
        block = _empty_block(part)
        if part.kind == "text":
            block["text"] = part.text
        elif part.kind == "call":
            block["input"] = tool_input(part.text)
        else:
            block["thinking"] = part.text if self._shows_thinking else ""
            block["signature"] = _signature(part)
        return block


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return Anthropic's ``usage``: cached tokens are no input tokens there.

    The cache takes in every prompt by itself, so none is charged for it.
    """
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _empty_block(part: AnswerPart) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": ""}
    if part.kind == "call":
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
    return {"type": "thinking", "thinking": "", "signature": ""}


def _piece(part: AnswerPart, piece: str) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text_delta", "text": piece}
    if part.kind == "call":
        return {"type": "input_json_delta", "partial_json": piece}
    return {"type": "thinking_delta", "thinking": piece}


def _signature(part: AnswerPart) -> str:
    """Return what clients hand back with the thinking; some drop blocks that have none."""
    return hashlib.sha256(part.text.encode()).hexdigest()


def _event(kind: str, **members: Any) -> bytes:
    data = orjson.dumps({"type": kind, **members})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
