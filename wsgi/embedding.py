"""What every route of embeddings does once it knows what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import ClientWatch
from .pump import OwnThread, StreamTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    import falcon

    from pyllama import Embeddings, Llama


def embed(
    req: falcon.Request, llm: Llama, inputs: str | Sequence[Any], **options: Any
) -> Embeddings:
    """Return the embeddings, unless the client leaves before they are there.

    Args:
        req: the request, whose log line gets the figures.
        llm: computes them.
        inputs: texts and token ids.
        **options: as for ``Llama.start_embed``.

    Raises:
        ClientGone: the client left.
        InvalidRequest, QueueFull, Draining, EngineError, Cancelled: as ``Llama.start_embed`` and
            its result.
    """
    watch = ClientWatch(req.env)
    with llm.start_embed(inputs, **options) as pending:
        record = req.context.record
        record.note(prompt_tokens=pending.prompt_tokens)
        req.context.interruptible.end()

        def look() -> bool:
            watch.look()
            return False

        # This thread is woken once, at the end: there is nothing that the pump could save it.
        StreamTask(pending.poll, look).run_on(OwnThread())
        made = pending.result()
    record.note(
        inputs=len(made.data),
        queue_ms=round(made.queue_ms, 1),
        compute_ms=round(made.compute_ms, 1),
    )
    return made
