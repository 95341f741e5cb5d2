"""What both generating routes do once they know what is asked and what the model is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ..answering import Order, answer
from .encode import NDJSON, QUEUE_S, loaded

if TYPE_CHECKING:
    import falcon

    from pyllama import Llama, Prompt

    from .encode import AnswerEncoder, Write
    from .parse import Asked


def generate(
    req: falcon.Request,
    resp: falcon.Response,
    *,
    llm: Llama,
    asked: Asked,
    prompt: Prompt,
    encoder: AnswerEncoder,
) -> None:
    """Start the generation and make it the response; the last thing in a responder."""
    order = Order(
        wanted=[(prompt, asked.params)],
        stream=asked.stream,
        fold=encoder.take,
        ping_s=QUEUE_S,
    )
    encoder.generations = answer(req, resp, llm=llm, order=order, encoder=encoder)


def say_loaded(resp: falcon.Response, *, llm: Llama, asked: Asked, write: Write) -> None:
    """Answer a request that asks nothing, as one object or as a stream of one line."""
    told: Any = loaded(llm, write)
    if asked.stream:
        resp.content_type = NDJSON
        resp.data = orjson.dumps(told) + b"\n"
    else:
        resp.media = told
