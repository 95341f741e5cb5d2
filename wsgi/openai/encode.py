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
    from collections.abc import Sequence

    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta, ModelInfo, Usage

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
        # The choice that ended last: if no other follows, its chunk has the timings.
        self._ended: dict[str, Any] | None = None
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

    def _object(self, choices: list[dict[str, Any]], generations: Generations) -> dict[str, Any]:
        return {
            **self._head,
            "choices": choices,
            "usage": usage_object(generations.usage),
            "timings": generations.timings.as_dict(),
        }

    def _chunk(self, *choices: dict[str, Any], **extra: Any) -> bytes:
        tail = b"," + orjson.dumps(extra)[1:] if extra else b"}"
        return self._chunk_start + orjson.dumps(choices) + tail + b"\n\n"

    def _chunks(self, choices: Sequence[dict[str, Any]], ended: dict[str, Any] | None) -> bytes:
        """Return a chunk for each choice, but keep the one that ends an answer."""
        data = b"".join([self._chunk(choice) for choice in choices])
        if ended is not None:
            if self._ended is not None:
                data += self._chunk(self._ended)
            self._ended = ended
        return data

    def end(self, generations: Generations) -> bytes:
        """Return the chunk with the last reason, the one with the usage if asked, and the mark.

        A chunk without choices has a usage: clients take the first choice of every other one.
        """
        choices = [] if self._ended is None else [self._ended]
        timings = generations.timings.as_dict()
        if self._include_usage:
            usage = usage_object(generations.usage)
            last = self._chunk(*choices) + self._chunk(usage=usage, timings=timings)
        else:
            last = self._chunk(*choices, timings=timings)
        return last + b"data: [DONE]\n\n"


class ChatEncoder(_OpenAIEncoder):
    """Encodes the answers of ``/v1/chat/completions``."""

    def __init__(self, info: ModelInfo, *, n: int = 1, include_usage: bool) -> None:
        super().__init__(
            info,
            prefix="chatcmpl",
            whole_kind="chat.completion",
            chunk_kind="chat.completion.chunk",
            include_usage=include_usage,
        )
        self._n = n

    def whole(self, completions: Sequence[Completion], generations: Generations) -> dict[str, Any]:
        """Return the answers as one object."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": completion.text},
                "logprobs": None,
                "finish_reason": completion.finish_reason,
            }
            for index, completion in enumerate(completions)
        ]
        return self._object(choices, generations)

    def begin(self) -> bytes:
        """Return the chunk that says who speaks; sent at once, so that headers are too."""
        opening = {"role": "assistant", "content": None}
        return self._chunk(*(_chat_choice(index, opening) for index in range(self._n)))

    def delta(self, index: int, delta: Delta) -> bytes | None:
        """Return the chunks with a piece of an answer."""
        reason = delta.finish_reason
        pieces = [_chat_choice(index, {"content": delta.text})] if delta.text else []
        return self._chunks(pieces, _chat_choice(index, {}, reason) if reason else None) or None


class CompletionEncoder(_OpenAIEncoder):
    """Encodes the answers of ``/v1/completions``."""

    def __init__(self, info: ModelInfo, *, include_usage: bool) -> None:
        super().__init__(
            info,
            prefix="cmpl",
            whole_kind="text_completion",
            chunk_kind="text_completion",
            include_usage=include_usage,
        )

    def whole(self, completions: Sequence[Completion], generations: Generations) -> dict[str, Any]:
        """Return the answers as one object."""
        choices = [
            _text_choice(index, completion.text, completion.finish_reason)
            for index, completion in enumerate(completions)
        ]
        return self._object(choices, generations)

    def begin(self) -> None:
        """Return nothing: the first chunk has text."""

    def delta(self, index: int, delta: Delta) -> bytes | None:
        """Return the chunks with a piece of an answer."""
        reason = delta.finish_reason
        pieces = [_text_choice(index, delta.text)] if delta.text else []
        return self._chunks(pieces, _text_choice(index, "", reason) if reason else None) or None


def _chat_choice(
    index: int, delta: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def _text_choice(index: int, text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
