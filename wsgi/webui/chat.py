"""The page's chat: a stream of events with the answer, its place in the queue and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..answering import Order, answer
from ..ids import random_id
from .encode import QUEUE_S, WebChatEncoder
from .parse import parse_chat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import falcon

    from pyllama.generations import Generations

    from ..host import Host
    from .sessions import SessionStore
    from .uploads import UploadStore


class WebChat:
    """Answers the bodies of ``/api/chat`` that name no model.

    Args:
        host: holds the model.
        sessions: those that may ask.
        uploads: the files that messages may have.
    """

    def __init__(self, host: Host, sessions: SessionStore, uploads: UploadStore) -> None:
        self._host = host
        self._sessions = sessions
        self._uploads = uploads

    def respond(self, req: falcon.Request, resp: falcon.Response, body: Mapping[str, Any]) -> None:
        """Answer a body with events, or with one object where ``stream`` is false."""
        llm = self._host.get()
        request = parse_chat(body, llm, self._uploads)
        self._sessions.check(request.session_id)
        prompt = request.conversation.prompt(llm)
        order = Order(
            id=random_id("msg_"),
            wanted=[(prompt, request.params)],
            names=request.conversation.names,
            stream=request.stream,
            ping_s=QUEUE_S,
        )

        def encode(generations: Generations) -> WebChatEncoder:
            return WebChatEncoder(
                llm.info.id,
                request.session_id,
                generations,
                shows_thinking=request.shows_thinking,
            )

        answer(req, resp, llm=llm, order=order, encode=encode)
