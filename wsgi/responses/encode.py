"""Answers to OpenAI's response objects and events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.openai_logprobs import ChatLogprobs

from ..ids import random_id
from ..segments import Closed, Opened, Segments
from .items import Items, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyllama import Llama
    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta, TokenLogprobs

    from ..errors import ErrorInfo
    from ..segments import Change, Segment
    from .tools import Toolbox

_RATE_LIMIT = 429


class ResponseEncoder:
    """Encodes one answer, whole or streamed; both are made of the same segments.

    Args:
        llm: the model.
        repeated: members of the object that say what was asked for.
        tools: of the request.
        keep: is given the object of an answer that came to its end.
    """

    media_type = "text/event-stream"
    ping: bytes | None = b": ping\n\n"

    def __init__(
        self,
        llm: Llama,
        repeated: Mapping[str, Any],
        *,
        tools: Toolbox,
        keep: Callable[[dict[str, Any]], None],
    ) -> None:
        self.completion_id = random_id("resp_")
        self._head = {
            "id": self.completion_id,
            "object": "response",
            "created_at": int(time.time()),
            "model": llm.info.id,
            **repeated,
        }
        self._logprobs = ChatLogprobs(llm.piece)
        self._keep = keep
        self._segments = Segments()
        self._items = Items(tools)
        # The ids of the segments' items: a call has two, its own and that of the call.
        self._item_ids: list[str] = []
        self._n_events = 0

    # ---- an answer at once --------------------------------------------------------------------

    def take(self, delta: Delta) -> None:
        """Take in a piece of an answer that is not streamed."""
        for change in self._segments.take(delta):
            self._name(change)

    def whole(self, completions: Sequence[Completion], generations: Generations) -> dict[str, Any]:
        """Return the answer as one object, and keep it."""
        is_cut = completions[0].finish_reason == "length"
        response = self._response(
            "incomplete" if is_cut else "completed",
            incomplete_details={"reason": "max_output_tokens"} if is_cut else None,
            usage=self._usage(generations),
        )
        self._keep(response)
        return response

    # ---- a stream -----------------------------------------------------------------------------

    def begin(self) -> bytes:
        """Return the events that say that it begins; sent at once, so that headers are too."""
        response = self._response("in_progress")
        return b"".join(
            [self._event(f"response.{name}", response=response) for name in _BEGINNINGS]
        )

    def delta(self, _index: int, delta: Delta) -> bytes | None:
        """Return the events with a piece of the answer."""
        events = [
            event
            for change in self._segments.take(delta)
            for event in self._events_of(self._name(change))
        ]
        return b"".join(events) or None

    def end(self, generations: Generations) -> bytes:
        """Return the event with the object that an answer at once would have been."""
        response = self.whole(generations.completions, generations)
        return self._event(f"response.{response['status']}", response=response)

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed, with what there is of the answer."""
        code = "rate_limit_exceeded" if info.status == _RATE_LIMIT else "server_error"
        failure = {"code": code, "message": info.message}
        return self._event("response.failed", response=self._response("failed", error=failure))

    def _events_of(self, change: Change) -> Iterator[bytes]:
        segment = change.segment
        item_id = self._item_ids[segment.index]
        place = {"item_id": item_id, "output_index": segment.index}
        if isinstance(change, Opened):
            yield self._event(
                "response.output_item.added",
                output_index=segment.index,
                item=self._items.new(segment, item_id),
            )
            if segment.kind != "call":
                part = part_of(segment, "", [])
                yield self._event(
                    "response.content_part.added", **place, content_index=0, part=part
                )
        elif isinstance(change, Closed):
            yield from self._closing(segment, place)
        elif stream := _STREAMS.get(self._items.kind(segment)):
            yield self._event(
                f"response.{stream}.delta",
                **place,
                **self._members(segment, change.logprobs),
                delta=change.piece,
            )

    def _closing(self, segment: Segment, place: dict[str, Any]) -> Iterator[bytes]:
        logprobs = self._listed(segment.logprobs)
        item = self._items.finished(segment, place["item_id"], logprobs)
        kind = self._items.kind(segment)
        if kind == "function":
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **place, **done)
        elif kind == "custom":
            # It comes at once: what it is can be told from its JSON when that is whole.
            event = "response.custom_tool_call_input"
            yield self._event(f"{event}.delta", **place, delta=item["input"])
            yield self._event(f"{event}.done", **place, input=item["input"])
        elif segment.kind != "call":
            members = self._members(segment, segment.logprobs)
            event = f"response.{_STREAMS[kind]}.done"
            yield self._event(event, **place, **members, text=segment.text)
            part = part_of(segment, segment.text, logprobs)
            yield self._event("response.content_part.done", **place, content_index=0, part=part)
        yield self._event("response.output_item.done", output_index=segment.index, item=item)

    def _event(self, kind: str, **members: Any) -> bytes:
        number, self._n_events = self._n_events, self._n_events + 1
        data = orjson.dumps({"type": kind, "sequence_number": number, **members})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    def _members(self, segment: Segment, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any]:
        if segment.kind == "call":
            return {}
        listed = {"logprobs": self._listed(logprobs)} if segment.kind == "text" else {}
        return {"content_index": 0, **listed}

    # ---- parts of both ------------------------------------------------------------------------

    def _name(self, change: Change) -> Change:
        """Give an item that begins its id."""
        if isinstance(change, Opened):
            self._item_ids.append(random_id(self._items.prefix(change.segment)))
        return change

    def _listed(self, logprobs: Sequence[TokenLogprobs]) -> list[Any]:
        content: list[Any] = self._logprobs.write(logprobs)["content"]
        return content

    def _response(self, status: str, **members: Any) -> dict[str, Any]:
        output = [
            self._items.finished(segment, item_id, self._listed(segment.logprobs))
            for segment, item_id in zip(self._segments.all, self._item_ids, strict=True)
        ]
        absent = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._head, "status": status, "output": output, **absent, **members}

    def _usage(self, generations: Generations) -> dict[str, Any]:
        usage = generations.usage
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
