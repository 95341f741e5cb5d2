"""``POST /api/chat/ollama``, and ``POST /api/chat`` with a model: the next message of a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..body import read_object
from .answering import generate, say_loaded
from .encode import AnswerEncoder, message
from .parse_chat import parse_chat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import falcon

    from pyllama.generations import Generations

    from ..host import Host


class OllamaChat:
    """The next message of a conversation."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of lines."""
        self.respond(req, resp, read_object(req))

    def respond(self, req: falcon.Request, resp: falcon.Response, body: Mapping[str, Any]) -> None:
        """Answer a body that was read before; the last thing in a responder."""
        llm = self._host.get()
        request = parse_chat(body, llm)
        if request.is_load:
            say_loaded(resp, llm=llm, asked=request, write=message)
            return
        prompt = request.conversation.prompt(llm)

        def encode(generations: Generations) -> AnswerEncoder:
            return AnswerEncoder(llm, request, message, generations)

        generate(req, resp, llm=llm, asked=request, prompt=prompt, encode=encode)
