"""``POST /v1/completions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answering import Order, answer
from ..body import read_object
from .encode import CompletionEncoder
from .parse import parse_completion

if TYPE_CHECKING:
    import falcon

    from ..host import Host


class Completions:
    """What follows a text."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of chunks."""
        llm = self._host.get()
        request = parse_completion(read_object(req), llm.defaults)
        prompt = llm.text_prompt(request.prompt)
        encoder = CompletionEncoder(llm.info, include_usage=request.include_usage)
        order = Order(wanted=[(prompt, request.params)], stream=request.stream)
        answer(req, resp, llm=llm, order=order, encoder=encoder)
