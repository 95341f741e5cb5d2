"""``POST /api/generate``: an answer to a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..body import read_object
from .answering import generate, say_loaded
from .encode import AnswerEncoder, response
from .parse_generate import parse_generate

if TYPE_CHECKING:
    import falcon

    from pyllama.generations import Generations

    from ..host import Host


class Generate:
    """An answer to a text."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one object, or with a stream of lines."""
        llm = self._host.get()
        request = parse_generate(read_object(req), llm)
        if request.is_load:
            say_loaded(resp, llm=llm, asked=request, write=response)
            return
        prompt = request.prompt(llm)

        def context(generations: Generations) -> dict[str, Any]:
            # What stands for a picture among the tokens is nothing that could come back.
            if request.raw or request.images:
                return {}
            return {"context": [*prompt.tokens, *generations.generations[0].tokens]}

        def encode(generations: Generations) -> AnswerEncoder:
            return AnswerEncoder(llm, request, response, generations, context)

        generate(req, resp, llm=llm, asked=request, prompt=prompt, encode=encode)
