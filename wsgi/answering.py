"""The last step of every generating route: start the generation, answer whole or as a stream."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .client import ClientWatch
from .streaming import EventStream, StreamEncoder, Watched

if TYPE_CHECKING:
    import falcon

    from pyllama import Llama, Prompt
    from pyllama.generation import Generation
    from pyllama.params import GenerationParams


class Encoder(StreamEncoder, Protocol):
    """How a dialect writes an answer, whole or as a stream."""

    completion_id: str

    def whole(self, text: str, generation: Generation) -> Any:
        """Return the JSON value of an answer that is not streamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to generate, and how to answer."""

    prompt: Prompt
    params: GenerationParams
    stream: bool


def answer(
    req: falcon.Request, resp: falcon.Response, *, llm: Llama, order: Order, encoder: Encoder
) -> None:
    """Start a generation and make it the response.

    What can be refused is refused before the first byte, as an HTTP error. To be called as the
    last thing in a responder: once a stream is set, an error would leave its slot taken.

    Raises:
        ContextOverflow, QueueFull, Draining: the engine does not take the request.
        EngineError, Cancelled, ClientGone: an answer that is not streamed failed.
    """
    record = req.context.record
    # The engine's id is ours and not the client's X-Request-Id, which need not be unique.
    generation = llm.start(order.prompt, order.params, request_id=encoder.completion_id)
    record.begin(encoder.completion_id, len(order.prompt.tokens))
    watched = Watched(generation, ClientWatch(req.env), record)
    if order.stream:
        resp.content_type = encoder.media_type
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("X-Accel-Buffering", "no")
        resp.stream = EventStream(watched, encoder)
        return
    with closing(watched):
        text = watched.collect()
        resp.media = encoder.whole(text, generation)
