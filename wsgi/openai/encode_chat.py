"""Answers to ``chat.completion`` objects and chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.openai_logprobs import ChatLogprobs
from pyllama.openai_objects import (
    call_object,
    call_piece,
    chat_choice,
    chunk_choice,
    message_object,
    text_pieces,
)

from ..free_form import free_form_input
from .encode import OpenAIEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama import Llama
    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta, ToolCall, ToolCallDelta

    from .parse_chat import ChatRequest


class ChatEncoder(OpenAIEncoder):
    """Encodes the answers of ``/v1/chat/completions``.

    Args:
        llm: the model that answers.
        fields: what the request asks of the answer's form.
        generations: the answers in the making.
    """

    def __init__(self, llm: Llama, fields: ChatRequest, generations: Generations) -> None:
        super().__init__(
            llm,
            fields,
            generations,
            whole_kind="chat.completion",
            chunk_kind="chat.completion.chunk",
        )
        self._custom = fields.tools.custom
        # Calls of custom tools in the making, by answer and place: their input is a text, which
        # can be told from its JSON when that is whole.
        self._held: dict[tuple[int, int], list[ToolCallDelta]] = {}
        self._logprobs = None if fields.logprobs is None else ChatLogprobs(llm.piece)

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the answers as one object."""
        choices = [
            chat_choice(
                index,
                message_object(completion, self._call),
                None if self._logprobs is None else self._logprobs.write(completion.logprobs),
                completion.finish_reason,
            )
            for index, completion in enumerate(completions)
        ]
        return self._object(choices)

    def begin(self) -> bytes:
        """Return the chunk that says who speaks; sent at once, so that headers are too."""
        opening = {"role": "assistant", "content": None}
        return self._chunk(*(chunk_choice(index, opening) for index in range(self._fields.n)))

    def delta(self, index: int, delta: Delta) -> bytes | None:
        """Return the chunks with a piece of an answer.

        Each has one thing only: clients look for the first that they know.
        """
        choices = [chunk_choice(index, piece) for piece in self._pieces(index, delta)]
        ended = chunk_choice(index, {}, delta.finish_reason) if delta.finish_reason else None
        if self._logprobs is not None and delta.logprobs:
            # The first of the chunks has those of all tokens.
            first = choices[0] if choices else ended
            if first is not None:
                first["logprobs"] = self._logprobs.write(delta.logprobs)
        return self._chunks(choices, ended)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.name in self._custom:
            return _custom_call(call.id, call.name, call.arguments)
        return call_object(call)

    def _pieces(self, answer: int, delta: Delta) -> list[dict[str, Any]]:
        pieces: list[dict[str, Any]] = [{name: text} for name, text in text_pieces(delta).items()]
        for call in delta.tool_calls:
            place = (answer, call.index)
            if place in self._held or call.name in self._custom:
                self._held.setdefault(place, []).append(call)
            else:
                pieces.append({"tool_calls": [call_piece(call)]})
        if delta.finish_reason is not None:
            for place in [place for place in self._held if place[0] == answer]:
                first, *rest = self._held.pop(place)
                text = "".join([piece.arguments for piece in (first, *rest)])
                whole = {"index": first.index, **_custom_call(first.id, first.name, text)}
                pieces.append({"tool_calls": [whole]})
        return pieces


def _custom_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    custom = {"name": name, "input": free_form_input(arguments)}
    return {"id": call_id, "type": "custom", "custom": custom}
