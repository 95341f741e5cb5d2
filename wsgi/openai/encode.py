"""What the encoders of OpenAI's objects and chunks share.

A stream's chunks differ in their choices only, so the rest of them is encoded once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

import pyllama
from pyllama.openai_objects import usage_object

from ..errors import openai_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama import Llama
    from pyllama.generations import Generations

    from ..errors import ErrorInfo
    from .parse import GenerationFields

SYSTEM_FINGERPRINT = f"b{pyllama.__version__}"


class OpenAIEncoder:
    """What chat and text completions share; one object a request, used by one thread.

    Args:
        llm: the model that answers.
        fields: what the request asks of the answer's form.
        generations: the answers in the making.
        whole_kind: the ``object`` of an answer that is not streamed.
        chunk_kind: the ``object`` of a stream's chunks.
    """

    media_type = "text/event-stream"
    ping: bytes | None = b": ping\n\n"

    def __init__(
        self,
        llm: Llama,
        fields: GenerationFields,
        generations: Generations,
        *,
        whole_kind: str,
        chunk_kind: str,
    ) -> None:
        self._generations = generations
        self._fields = fields
        # The choice that ended last: if no other follows, its chunk has the timings.
        self._ended: dict[str, Any] | None = None
        self._head = {
            "id": generations.generations[0].request_id,
            "object": whole_kind,
            "created": int(time.time()),
            "model": llm.info.id,
            "system_fingerprint": SYSTEM_FINGERPRINT,
        }
        head = orjson.dumps({**self._head, "object": chunk_kind})
        self._chunk_start = b"data: " + head[:-1] + b',"choices":'

    def error(self, info: ErrorInfo) -> bytes:
        """Return the event that ends a stream which failed; no ``[DONE]`` follows it."""
        return b"data: " + orjson.dumps(openai_error(info)) + b"\n\n"

    def end(self, _generations: Generations) -> bytes:
        """Return the chunk with the last reason, the one with the usage if asked, and the mark.

        A chunk without choices has a usage: clients take the first choice of every other one.
        """
        choices = [] if self._ended is None else [self._ended]
        timings = self._generations.timings.as_dict()
        if self._fields.include_usage:
            usage = usage_object(self._generations.usage)
            last = self._chunk(*choices) + self._chunk(usage=usage, timings=timings)
        else:
            last = self._chunk(*choices, timings=timings)
        return last + b"data: [DONE]\n\n"

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            **self._head,
            "choices": choices,
            "usage": usage_object(self._generations.usage),
            "timings": self._generations.timings.as_dict(),
        }

    def _chunk(self, *choices: dict[str, Any], **extra: Any) -> bytes:
        tail = b"," + orjson.dumps(extra)[1:] if extra else b"}"
        return self._chunk_start + orjson.dumps(choices) + tail + b"\n\n"

    def _chunks(
        self, choices: Sequence[dict[str, Any]], ended: dict[str, Any] | None
    ) -> bytes | None:
        """Return a chunk for each choice, but keep the one that ends an answer."""
        extra: dict[str, Any] = {}
        if self._fields.timings_per_token and choices:
            answer = self._generations.generations[choices[0]["index"]]
            extra["timings"] = answer.timings.as_dict()
        data = b"".join([self._chunk(choice, **extra) for choice in choices])
        if ended is not None:
            if self._ended is not None:
                data += self._chunk(self._ended)
            self._ended = ended
        return data or None
