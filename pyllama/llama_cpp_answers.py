"""Answers in the dictionaries that llama-cpp-python returns: OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pyllama.openai_logprobs import ChatLogprobs, TextLogprobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyllama.generation import Generation
    from pyllama.llm import Llama
    from pyllama.results import Completion, Delta, TokenLogprobs, Usage


class Shape(Protocol):
    """How answers of one kind look."""

    prefix: str
    """Beginning of their ids."""

    def whole(self, head: Mapping[str, Any], completion: Completion) -> dict[str, Any]:
        """Return a whole answer."""

    def chunks(self, head: Mapping[str, Any], generation: Generation) -> Iterator[dict[str, Any]]:
        """Return an answer as it is made."""


class CompletionShape:
    """OpenAI's ``text_completion``; one object an answer.

    Args:
        llm: gives tokens their text.
        before: text to put before the answer.
        has_logprobs: whether the answer reports how likely its tokens were.
    """

    prefix = "cmpl"

    def __init__(self, llm: Llama, before: str, *, has_logprobs: bool) -> None:
        self._before = before
        self._writer = TextLogprobs(llm.piece) if has_logprobs else None

    def whole(self, head: Mapping[str, Any], completion: Completion) -> dict[str, Any]:
        """Return a whole answer."""
        choice = self._choice(
            self._before + completion.text, completion.logprobs, completion.finish_reason
        )
        return {
            **head,
            "object": "text_completion",
            "choices": [choice],
            "usage": _usage(completion.usage),
        }

    def chunks(self, head: Mapping[str, Any], generation: Generation) -> Iterator[dict[str, Any]]:
        """Return an answer as it is made."""
        text = self._before
        for delta in generation:
            choice = self._choice(text + delta.text, delta.logprobs, delta.finish_reason)
            text = ""
            yield {**head, "object": "text_completion", "choices": [choice]}

    def _choice(
        self, text: str, logprobs: Sequence[TokenLogprobs], finish_reason: str | None
    ) -> dict[str, Any]:
        return {
            "index": 0,
            "text": text,
            "logprobs": None if self._writer is None else self._writer.write(logprobs),
            "finish_reason": finish_reason,
        }


class ChatShape:
    """OpenAI's ``chat.completion``.

    Args:
        llm: gives tokens their text.
    """

    prefix = "chatcmpl"

    def __init__(self, llm: Llama) -> None:
        self._writer = ChatLogprobs(llm.piece)

    def whole(self, head: Mapping[str, Any], completion: Completion) -> dict[str, Any]:
        """Return a whole answer."""
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in completion.tool_calls
        ]
        text = completion.text or (None if calls else "")
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = calls
        if completion.reasoning:
            message["reasoning_content"] = completion.reasoning
        choice = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(completion.logprobs),
            "finish_reason": completion.finish_reason,
        }
        return {
            **head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(completion.usage),
        }

    def chunks(self, head: Mapping[str, Any], generation: Generation) -> Iterator[dict[str, Any]]:
        """Return an answer as it is made."""
        head = {**head, "object": "chat.completion.chunk"}
        opening = {"index": 0, "delta": {"role": "assistant"}, "logprobs": None}
        yield {**head, "choices": [{**opening, "finish_reason": None}]}
        for delta in generation:
            choice = {
                "index": 0,
                "delta": _delta(delta),
                "logprobs": self._logprobs(delta.logprobs),
                "finish_reason": delta.finish_reason,
            }
            yield {**head, "choices": [choice]}

    def _logprobs(self, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any] | None:
        return self._writer.write(logprobs) if logprobs else None


def _delta(delta: Delta) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if delta.text:
        found["content"] = delta.text
    if delta.reasoning:
        found["reasoning_content"] = delta.reasoning
    if delta.tool_calls:
        found["tool_calls"] = [
            {
                "index": call.index,
                **({"id": call.id, "type": "function"} if call.id else {}),
                "function": {
                    **({"name": call.name} if call.name else {}),
                    "arguments": call.arguments,
                },
            }
            for call in delta.tool_calls
        ]
    return found


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
