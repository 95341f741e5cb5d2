"""``POST /v1/chat/completions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answering import Order, answer
from ..body import read_object
from .encode import ChatEncoder
from .parse import parse_chat

if TYPE_CHECKING:
    import falcon

    from ..host import Host


class ChatCompletions:
    """The next message of a conversation."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of chunks."""
        llm = self._host.get()
        request = parse_chat(read_object(req), llm.defaults)
        prompt = llm.chat_prompt(
            request.messages,
            template_kwargs=request.template_kwargs,
            add_generation_prompt=request.add_generation_prompt,
        )
        encoder = ChatEncoder(llm.info, include_usage=request.include_usage)
        order = Order(wanted=[(prompt, request.params)], stream=request.stream)
        answer(req, resp, llm=llm, order=order, encoder=encoder)
