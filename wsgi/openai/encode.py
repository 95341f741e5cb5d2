"""Answers to OpenAI's objects and chunks.

A stream's chunks differ in their choices only, so the rest of them is encoded once.
"""

from __future__ import annotations

import secrets
import string
import time
from typing import TYPE_CHECKING, Any

import orjson

import pyllama

from ..errors import openai_error

if TYPE_CHECKING:
    from pyllama.generation import Generation
    from pyllama.results import Delta, ModelInfo, Usage

    from ..errors import ErrorInfo

_ALPHABET = string.ascii_letters + string.digits


SYSTEM_FINGERPRINT = f"b{pyllama.__version__}"


def new_id(prefix: str) -> str:
    """Return ``prefix-`` and 32 letters and digits."""
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(32))}"


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's ``usage``."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class _OpenAIEncoder:
    """What chat and text completions share; one object an answer, used by one thread."""

    media_type = "text/event-stream"
    ping: bytes | None = b": ping\n\n"

    def __init__(
        self, info: ModelInfo, *, prefix: str, whole_kind: str, chunk_kind: str, include_usage: bool
    ) -> None:
        self.completion_id = new_id(prefix)
        self._include_usage = include_usage
        self._head = {
            "id": self.completion_id,
            "object": whole_kind,
            "created": int(time.time()),
            "model": info.id,
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        head = orjson.dumps({**self._head, "object": chunk_kind})
        self._chunk_start = b"data: " + head[:-1] + b',"choices":'

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed; no ``[DONE]`` follows it."""
        return b"data: " + orjson.dumps(openai_error(info)) + b"\n\n"

    def _object(self, choice: dict[str, Any], generation: Generation) -> dict[str, Any]:
        return {
            **self._head,
            "choices": [choice],
            "usage": usage_object(generation.usage),
            "timings": generation.timings.as_dict(),
        }

    def _chunk(self, *choices: dict[str, Any], **extra: Any) -> bytes:
        tail = b"," + orjson.dumps(extra)[1:] if extra else b"}"
        return self._chunk_start + orjson.dumps(choices) + tail + b"\n\n"

    def _finish(self, choice: dict[str, Any], generation: Generation) -> bytes:
        timings = generation.timings.as_dict()
        if self._include_usage:
            usage = usage_object(generation.usage)
            last = self._chunk(choice) + self._chunk(usage=usage, timings=timings)
        else:
            last = self._chunk(choice, timings=timings)
        return last + b"data: [DONE]\n\n"


class ChatEncoder(_OpenAIEncoder):
    """Encodes one answer of ``/v1/chat/completions``."""

    def __init__(self, info: ModelInfo, *, include_usage: bool) -> None:
        super().__init__(
            info,
            prefix="chatcmpl",
            whole_kind="chat.completion",
            chunk_kind="chat.completion.chunk",
            include_usage=include_usage,
        )

    def whole(self, text: str, generation: Generation) -> dict[str, Any]:
        """Return the answer as one object."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": generation.finish_reason,
        }
        return self._object(choice, generation)

    def begin(self) -> bytes:
        """Return the chunk that says who speaks; sent at once, so that headers are too."""
        return self._chunk(_chat_choice({"role": "assistant", "content": None}))

    def delta(self, delta: Delta) -> bytes | None:
        """Return a chunk with a piece of text."""
        return self._chunk(_chat_choice({"content": delta.text})) if delta.text else None

    def end(self, generation: Generation) -> bytes:
        """Return the chunk with the reason, the one with the usage if asked, and the mark."""
        return self._finish(_chat_choice({}, generation.finish_reason), generation)


class CompletionEncoder(_OpenAIEncoder):
    """Encodes one answer of ``/v1/completions``."""

    def __init__(self, info: ModelInfo, *, include_usage: bool) -> None:
        super().__init__(
            info,
            prefix="cmpl",
            whole_kind="text_completion",
            chunk_kind="text_completion",
            include_usage=include_usage,
        )

    def whole(self, text: str, generation: Generation) -> dict[str, Any]:
        """Return the answer as one object."""
        return self._object(_text_choice(text, generation.finish_reason), generation)

    def begin(self) -> None:
        """Return nothing: the first chunk has text."""

    def delta(self, delta: Delta) -> bytes | None:
        """Return a chunk with a piece of text."""
        return self._chunk(_text_choice(delta.text)) if delta.text else None

    def end(self, generation: Generation) -> bytes:
        """Return the chunk with the reason, the one with the usage if asked, and the mark."""
        return self._finish(_text_choice("", generation.finish_reason), generation)


def _chat_choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _text_choice(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
