"""What both generating routes do once they know what is asked and what the model is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..answering import Order, answer
from ..ids import random_id
from .encode import NDJSON, QUEUE_S, loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    import falcon

    from pyllama import Llama, Prompt
    from pyllama.generations import Generations

    from .encode import AnswerEncoder, Write
    from .parse import Asked


def generate(
    req: falcon.Request,
    resp: falcon.Response,
    *,
    llm: Llama,
    asked: Asked,
    prompt: Prompt,
    encode: Callable[[Generations], AnswerEncoder],
) -> None:
    """Start the generation and make it the response; the last thing in a responder."""
    order = Order(
        id=random_id("ollama-"),
        wanted=[(prompt, asked.params)],
        names=asked.names,
        stream=asked.stream,
        ping_s=QUEUE_S,
    )
    answer(req, resp, llm=llm, order=order, encode=encode)


def say_loaded(resp: falcon.Response, *, llm: Llama, asked: Asked, write: Write) -> None:
    """Answer a request that asks nothing, as one object or as a stream of one line."""
    told: Any = loaded(llm, write)
    if asked.stream:
        resp.content_type = NDJSON
        resp.data = orjson.dumps(told) + b"\n"
    else:
        resp.media = told
