"""Answers in the dictionaries that llama-cpp-python returns: OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pyllama.openai_logprobs import ChatLogprobs, TextLogprobs
from pyllama.openai_objects import (
    call_piece,
    chat_choice,
    chunk_choice,
    message_object,
    text_choice,
    text_pieces,
    usage_object,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyllama.generation import Generation
    from pyllama.llm import Llama
    from pyllama.results import Completion, Delta, TokenLogprobs


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
            "usage": usage_object(completion.usage, has_details=False),
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
        written = None if self._writer is None else self._writer.write(logprobs)
        return text_choice(0, text, written, finish_reason)


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
        logprobs = self._logprobs(completion.logprobs)
        choice = chat_choice(0, message_object(completion), logprobs, completion.finish_reason)
        return {
            **head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": usage_object(completion.usage, has_details=False),
        }

    def chunks(self, head: Mapping[str, Any], generation: Generation) -> Iterator[dict[str, Any]]:
        """Return an answer as it is made."""
        head = {**head, "object": "chat.completion.chunk"}
        opening = chunk_choice(0, {"role": "assistant"})
        yield {**head, "choices": [{**opening, "logprobs": None}]}
        for delta in generation:
            choice = chunk_choice(0, _members(delta), delta.finish_reason)
            yield {**head, "choices": [{**choice, "logprobs": self._logprobs(delta.logprobs)}]}

    def _logprobs(self, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any] | None:
        return self._writer.write(logprobs) if logprobs else None


def _members(delta: Delta) -> dict[str, Any]:
    calls = [call_piece(call) for call in delta.tool_calls]
    return {**text_pieces(delta), **({"tool_calls": calls} if calls else {})}
