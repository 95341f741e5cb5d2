"""Answers to OpenAI's response objects and events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.openai_logprobs import ChatLogprobs
from pyllama.results import PartClosed, PartOpened

from ..ids import random_id
from .items import Items, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyllama import Llama
    from pyllama.generations import Generations
    from pyllama.results import AnswerPart, Completion, Delta, PartChange, TokenLogprobs

    from ..errors import ErrorInfo
    from .tools import Toolbox

_RATE_LIMIT = 429


class ResponseEncoder:
    """Encodes one answer, whole or streamed; both are made of the same parts.

    Args:
        llm: the model.
        repeated: members of the object that say what was asked for.
        generations: the answer in the making.
        tools: of the request.
        keep: is given the object of an answer that came to its end.
    """

    media_type = "text/event-stream"
    ping: bytes | None = b": ping\n\n"

    def __init__(
        self,
        llm: Llama,
        repeated: Mapping[str, Any],
        generations: Generations,
        *,
        tools: Toolbox,
        keep: Callable[[dict[str, Any]], None],
    ) -> None:
        self._generations = generations
        self._head = {
            "id": generations.generations[0].request_id,
            "object": "response",
            "created_at": int(time.time()),
            "model": llm.info.id,
            **repeated,
        }
        self._logprobs = ChatLogprobs(llm.piece)
        self._keep = keep
        self._items = Items(tools)
        # The ids of the parts' items: a call has two, its own and that of the call.
        self._item_ids: list[str] = []
        self._n_events = 0

    # ---- an answer at once --------------------------------------------------------------------

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the answer as one object, and keep it."""
        (completion,) = completions
        is_cut = completion.finish_reason == "length"
        response = self._response(
            "incomplete" if is_cut else "completed",
            completion.parts,
            incomplete_details={"reason": "max_output_tokens"} if is_cut else None,
            usage=self._usage(),
        )
        self._keep(response)
        return response

    # ---- a stream -----------------------------------------------------------------------------

    def begin(self) -> bytes:
        """Return the events that say that it begins; sent at once, so that headers are too."""
        response = self._response("in_progress", ())
        return b"".join(
            [self._event(f"response.{name}", response=response) for name in _BEGINNINGS]
        )

    def delta(self, _index: int, delta: Delta) -> bytes | None:
        """Return the events with a piece of the answer."""
        events = [event for change in delta.changes for event in self._events_of(change)]
        return b"".join(events) or None

    def end(self, generations: Generations) -> bytes:
        """Return the event with the object that an answer at once would have been."""
        response = self.whole(generations.completions)
        return self._event(f"response.{response['status']}", response=response)

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed, with what there is of the answer."""
        code = "rate_limit_exceeded" if info.status == _RATE_LIMIT else "server_error"
        failure = {"code": code, "message": info.message}
        # Those that the stream has told of: what failed may have begun another.
        parts = self._generations.generations[0].parts[: len(self._item_ids)]
        return self._event(
            "response.failed", response=self._response("failed", parts, error=failure)
        )

    def _events_of(self, change: PartChange) -> Iterator[bytes]:
        part = change.part
        item_id = self._item_id(part)
        place = {"item_id": item_id, "output_index": part.index}
        if isinstance(change, PartOpened):
            yield self._event(
                "response.output_item.added",
                output_index=part.index,
                item=self._items.new(part, item_id),
            )
            if part.kind != "call":
                content = part_of(part, "", [])
                yield self._event(
                    "response.content_part.added", **place, content_index=0, part=content
                )
        elif isinstance(change, PartClosed):
            yield from self._closing(part, place)
        elif stream := _STREAMS.get(self._items.kind(part)):
            yield self._event(
                f"response.{stream}.delta",
                **place,
                **self._members(part, change.logprobs),
                delta=change.text,
            )

    def _closing(self, part: AnswerPart, place: dict[str, Any]) -> Iterator[bytes]:
        logprobs = self._listed(part.logprobs)
        item = self._items.finished(part, place["item_id"], logprobs)
        kind = self._items.kind(part)
        if kind == "function":
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **place, **done)
        elif kind == "custom":
            # It comes at once: what it is can be told from its JSON when that is whole.
            event = "response.custom_tool_call_input"
            yield self._event(f"{event}.delta", **place, delta=item["input"])
            yield self._event(f"{event}.done", **place, input=item["input"])
        elif part.kind != "call":
            members = self._members(part, part.logprobs)
            event = f"response.{_STREAMS[kind]}.done"
            yield self._event(event, **place, **members, text=part.text)
            content = part_of(part, part.text, logprobs)
            yield self._event("response.content_part.done", **place, content_index=0, part=content)
        yield self._event("response.output_item.done", output_index=part.index, item=item)

    def _event(self, kind: str, **members: Any) -> bytes:
        number, self._n_events = self._n_events, self._n_events + 1
        data = orjson.dumps({"type": kind, "sequence_number": number, **members})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    def _members(self, part: AnswerPart, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any]:
        if part.kind == "call":
            return {}
        listed = {"logprobs": self._listed(logprobs)} if part.kind == "text" else {}
        return {"content_index": 0, **listed}

    # ---- parts of both ------------------------------------------------------------------------

    def _item_id(self, part: AnswerPart) -> str:
        """Return the id of a part's item; parts are told of in their order."""
        if part.index == len(self._item_ids):
            self._item_ids.append(random_id(self._items.prefix(part)))
        return self._item_ids[part.index]

    def _listed(self, logprobs: Sequence[TokenLogprobs]) -> list[Any]:
        content: list[Any] = self._logprobs.write(logprobs)["content"]
        return content

    def _response(self, status: str, parts: Sequence[AnswerPart], **members: Any) -> dict[str, Any]:
        output = [
            self._items.finished(part, self._item_id(part), self._listed(part.logprobs))
            for part in parts
        ]
        absent = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._head, "status": status, "output": output, **absent, **members}

    def _usage(self) -> dict[str, Any]:
        usage = self._generations.usage
        return {
            "input_tokens": usage.prompt_tokens,
            # The cache takes in every prompt by itself, so none is charged for it.
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }


_BEGINNINGS = ("created", "in_progress")
_STREAMS = {
    "reasoning": "reasoning_text",
    "text": "output_text",
    "function": "function_call_arguments",
}
