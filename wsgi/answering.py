"""The last step of every generating route: start the generation, answer whole or as a stream."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pyllama.field_names import caller_names

from .client import ClientWatch
from .streaming import PING_S, EventStream, StreamEncoder
from .watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import falcon

    from pyllama import Llama, Prompt
    from pyllama.generations import Generations
    from pyllama.params import GenerationParams
    from pyllama.results import Completion

    Encode = Callable[[Generations], "Encoder"]
    """Makes what writes an answer, which is in the making by then."""


class Encoder(StreamEncoder, Protocol):
    """How a dialect writes an answer, whole or as a stream."""

    def whole(self, completions: Sequence[Completion]) -> Any:
        """Return the JSON value of answers that are not streamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to generate, and how to answer."""

    id: str
    """What the answer is called, and the request in the engine."""
    wanted: Sequence[tuple[Prompt, GenerationParams]]
    """One pair for each answer."""
    names: Mapping[str, str] = field(default_factory=dict)
    """From paths in these to paths in the body."""
    stream: bool
    ping_s: float = PING_S
    """Seconds of silence after which a stream sends a ping."""


def answer(
    req: falcon.Request, resp: falcon.Response, *, llm: Llama, order: Order, encode: Encode
) -> None:
    """Start the generations and make them the response.

    What can be refused is refused before the first byte, as an HTTP error. To be called as the
    last thing in a responder: once a stream is set, an error would leave its slot taken.

    Raises:
        ContextOverflow, QueueFull, Draining: the engine does not take the request.
        EngineError, Cancelled, ClientGone, InvalidResponse: an answer that is not streamed failed.
    """
    record = req.context.record
    # The engine's id is ours and not the client's X-Request-Id, which need not be unique.
    with caller_names(order.names):
        generations = llm.start_all(order.wanted, request_id=order.id)
    req.context.interruptible.end()
    record.begin(order.id, generations.usage.prompt_tokens)
    watched = Watched(generations, ClientWatch(req.env), record, req.env.get("pyllama.pump"))
    encoder = encode(generations)
    if order.stream:
        resp.content_type = encoder.media_type
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("X-Accel-Buffering", "no")
        sink = req.env.get("pyllama.sink")
        resp.stream = EventStream(watched, encoder, ping_s=order.ping_s, socket_sink=sink)
        return
    with closing(watched):
        resp.media = encoder.whole(watched.collect())
