"""``/v1/responses``: answers, those that are kept, and the count of an input's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..answering import Order, answer
from ..body import read_object
from ..ids import random_id
from .encode import ResponseEncoder
from .parse import parse_input_tokens, parse_responses
from .store import ResponseStore, Stored

if TYPE_CHECKING:
    import falcon

    from pyllama.generations import Generations

    from ..host import Host
    from .parse import ResponsesRequest


class Responses:
    """Answers to an input, which may go on from an answer that is kept."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store = ResponseStore()

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of events."""
        llm = self._host.get()
        request = parse_responses(read_object(req), llm.defaults, self._store)
        prompt = request.conversation.prompt(llm)
        order = Order(
            id=random_id("resp_"),
            wanted=[(prompt, request.params)],
            names=request.conversation.names,
            stream=request.stream,
        )

        def encode(generations: Generations) -> ResponseEncoder:
            return ResponseEncoder(
                llm,
                request.repeated,
                generations,
                tools=request.tools,
                keep=lambda response: self._keep(request, response),
            )

        answer(req, resp, llm=llm, order=order, encode=encode)

    def on_post_count(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Count the tokens of the prompt; nothing is generated."""
        llm = self._host.get()
        prompt = parse_input_tokens(read_object(req), self._store).prompt(llm)
        resp.media = {"object": "response.input_tokens", "input_tokens": len(prompt.tokens)}

    def on_get_one(self, _req: falcon.Request, resp: falcon.Response, response_id: str) -> None:
        """Return an answer that is kept."""
        resp.media = self._store.get(response_id).response

    def on_delete_one(self, _req: falcon.Request, resp: falcon.Response, response_id: str) -> None:
        """Forget an answer."""
        self._store.delete(response_id)
        resp.media = {"id": response_id, "object": "response", "deleted": True}

    def _keep(self, request: ResponsesRequest, response: dict[str, Any]) -> None:
        if request.store:
            items = (*request.items, *response["output"])
            self._store.put(Stored(response=response, items=items))
