"""``POST /v1/completions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answering import Order, answer
from ..body import read_object
from ..ids import random_id
from .encode_completion import CompletionEncoder
from .parse import seeded
from .parse_completion import parse_completion

if TYPE_CHECKING:
    import falcon

    from pyllama.generations import Generations

    from ..host import Host


class Completions:
    """What follows a text."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of chunks."""
        llm = self._host.get()
        request = parse_completion(read_object(req), llm)
        prompts = request.make_prompts(llm)
        variants = seeded(request.params, request.best_of)
        order = Order(
            id=random_id("cmpl-"),
            wanted=[(prompt, params) for prompt in prompts for params in variants],
            names=request.names,
            stream=request.stream,
            ping_s=request.ping_s,
        )

        def encode(generations: Generations) -> CompletionEncoder:
            return CompletionEncoder(llm, request, prompts, generations)

        answer(req, resp, llm=llm, order=order, encode=encode)
