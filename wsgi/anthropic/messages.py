"""``POST /v1/messages`` and ``POST /v1/messages/count_tokens``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answering import Order, answer
from ..body import read_object
from ..ids import random_id
from .encode import MessageEncoder
from .parse import parse_count, parse_messages

if TYPE_CHECKING:
    import falcon

    from pyllama.generations import Generations

    from ..host import Host


class Messages:
    """The next message of a conversation."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one message, or with a stream of events."""
        llm = self._host.get()
        request = parse_messages(read_object(req), llm.defaults)
        prompt = request.conversation.prompt(llm)
        order = Order(
            id=random_id("msg_"),
            wanted=[(prompt, request.params)],
            names=request.conversation.names,
            stream=request.stream,
        )

        def encode(generations: Generations) -> MessageEncoder:
            return MessageEncoder(
                llm.info, request.params, generations, shows_thinking=request.shows_thinking
            )

        answer(req, resp, llm=llm, order=order, encode=encode)


class TokenCount:
    """How many tokens a conversation is."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count the tokens of the prompt; nothing is generated."""
        llm = self._host.get()
        prompt = parse_count(read_object(req)).prompt(llm)
        resp.media = {"input_tokens": len(prompt.tokens)}
