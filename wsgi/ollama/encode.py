"""Answers to Ollama's objects: one, or one a line of which the last has the figures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.openai_logprobs import ChatLogprobs
from pyllama.results import PartClosed, PartGrown

from ..partial import tool_input
from .errors import ollama_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyllama import Completion, Delta, Llama, TokenLogprobs
    from pyllama.generations import Generations
    from pyllama.results import AnswerPart, PartChange

    from ..errors import ErrorInfo
    from .parse import Asked

    Write = Callable[..., dict[str, Any]]

NDJSON = "application/x-ndjson"
QUEUE_S = 1.0
"""Seconds of silence after which a request that waits tells its place."""

_TICKS_PER_S = 10**7


def utc(time_ns: int) -> str:
    """Return a time as ISO 8601 has it, to a tenth of a microsecond."""
    seconds, ticks = divmod(time_ns // 100, _TICKS_PER_S)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ticks:07d}Z"


def response(text: str, thinking: str = "", calls: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the members that hold a text, or a piece of it; texts call nothing."""
    del calls
    return {"response": text, **({"thinking": thinking} if thinking else {})}


def message(text: str, thinking: str = "", calls: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the member that holds a message, or a piece of it."""
    made: dict[str, Any] = {"role": "assistant", "content": text}
    if thinking:
        made["thinking"] = thinking
    if calls:
        made["tool_calls"] = list(calls)
    return {"message": made}


def loaded(llm: Llama, write: Write) -> dict[str, Any]:
    """Return the answer to a request that asks nothing: the model is loaded."""
    return {**_head(llm), **write(""), "done": True, "done_reason": "load"}


class AnswerEncoder:
    """Encodes one answer, whole or streamed; both are made of the same parts.

    Args:
        llm: the model that answers.
        asked: what the request asks of the answer's form.
        write: :func:`response` or :func:`message`.
        generations: the answer in the making.
        ending: returns what else is told at the end.
    """

    media_type = NDJSON

    def __init__(
        self,
        llm: Llama,
        asked: Asked,
        write: Write,
        generations: Generations,
        ending: Callable[[Generations], Mapping[str, Any]] = lambda _: {},
    ) -> None:
        self._generations = generations
        self._llm = llm
        self._shows_thinking = asked.shows_thinking
        self._logprobs = None if asked.params.logprobs is None else ChatLogprobs(llm.piece)
        self._write = write
        self._ending = ending
        self._n_calls = 0

    # ---- an answer at once --------------------------------------------------------------------

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the answer as one object."""
        (completion,) = completions
        members = self._write(
            completion.text,
            completion.reasoning if self._shows_thinking else "",
            [self._call(part) for part in completion.parts if part.kind == "call"],
        )
        logprobs = [item for part in completion.parts for item in part.logprobs]
        return {**self._last(members), **self._told(logprobs)}

    # ---- a stream -----------------------------------------------------------------------------

    @property
    def ping(self) -> bytes | None:
        """A line with the place in the queue; nothing once the request has a slot."""
        place = self._generations.queue_place
        if place is None:
            return None
        queue = {"queue_position": place.position, "queue_pending": place.n_waiting}
        return self._piece({**self._write(""), **queue})

    def begin(self) -> bytes | None:
        """Return the line with the place in the queue, if the request has to wait."""
        return self.ping

    def delta(self, _index: int, delta: Delta) -> bytes | None:
        """Return the lines with a piece of the answer."""
        return b"".join([self._line(change) for change in delta.changes]) or None

    def end(self, _generations: Generations) -> bytes:
        """Return the line with the figures."""
        return orjson.dumps(self._last(self._write(""))) + b"\n"

    def error(self, info: ErrorInfo) -> bytes:
        """Return the line that ends a stream which failed."""
        return orjson.dumps(ollama_error(info)) + b"\n"

    # ---- parts of both ------------------------------------------------------------------------

    def _line(self, change: PartChange) -> bytes:
        """Return the line that tells of a change; empty where it is told by another."""
        part = change.part
        if isinstance(change, PartClosed) and part.kind == "call":
            # Arguments are an object here, so a call is told when it is whole.
            return self._piece(self._write("", "", [self._call(part)]))
        if not isinstance(change, PartGrown) or part.kind == "call":
            return b""
        if part.kind == "text":
            return self._piece({**self._write(change.text), **self._told(change.logprobs)})
        return self._piece(self._write("", change.text)) if self._shows_thinking else b""

    def _piece(self, members: Mapping[str, Any]) -> bytes:
        return orjson.dumps({**_head(self._llm), **members, "done": False}) + b"\n"

    def _last(self, members: Mapping[str, Any]) -> dict[str, Any]:
        generations = self._generations
        return {
            **_head(self._llm),
            **members,
            "done": True,
            "done_reason": generations.generations[0].finish_reason,
            **self._ending(generations),
            **figures(generations),
        }

    def _told(self, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any]:
        if self._logprobs is None or not logprobs:
            return {}
        return {"logprobs": self._logprobs.write(logprobs)["content"]}

    def _call(self, part: AnswerPart) -> dict[str, Any]:
        index = self._n_calls
        self._n_calls += 1
        arguments = tool_input(part.text)
        function = {"index": index, "name": part.name, "arguments": arguments}
        return {"id": part.id, "function": function}


def figures(generations: Generations) -> dict[str, Any]:
    """Return counts, and durations in nanoseconds."""
    usage, timings = generations.usage, generations.timings
    prompt_ns, eval_ns = _ns(timings.prompt_ms), _ns(timings.predicted_ms)
    return {
        "total_duration": _ns(timings.queue_ms) + prompt_ns + eval_ns,
        # A request that comes while the model is being loaded is told to come again.
        "load_duration": 0,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": prompt_ns,
        "eval_count": usage.completion_tokens,
        "eval_duration": eval_ns,
        "prompt_cache_hit_tokens": usage.cached_tokens,
        "prompt_cache_hit_ratio": usage.cached_tokens / max(usage.prompt_tokens, 1),
    }


def _head(llm: Llama) -> dict[str, Any]:
    return {"model": llm.info.id, "created_at": utc(time.time_ns())}


def _ns(milliseconds: float) -> int:
    return round(1e6 * milliseconds)
