"""``POST /v1/chat/completions``, and the number of tokens of such a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answering import Order, answer
from ..body import read_object
from ..ids import random_id
from .encode_chat import ChatEncoder
from .parse import seeded
from .parse_chat import parse_chat

if TYPE_CHECKING:
    import falcon

    from pyllama.generations import Generations

    from ..host import Host


class ChatCompletions:
    """The next message of a conversation."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of chunks."""
        llm = self._host.get()
        request = parse_chat(read_object(req), llm)
        prompt = request.prompt(llm)
        order = Order(
            id=random_id("chatcmpl-"),
            wanted=[(prompt, params) for params in seeded(request.params, request.n)],
            names=request.names,
            stream=request.stream,
            ping_s=request.ping_s,
        )

        def encode(generations: Generations) -> ChatEncoder:
            return ChatEncoder(llm, request, generations)

        answer(req, resp, llm=llm, order=order, encode=encode)

    def on_post_input_tokens(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count the tokens of the prompt; nothing is generated."""
        llm = self._host.get()
        prompt = parse_chat(read_object(req), llm).prompt(llm)
        resp.media = {"object": "response.input_tokens", "input_tokens": len(prompt.tokens)}
