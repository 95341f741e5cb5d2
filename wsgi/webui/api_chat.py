"""``POST /api/chat``: two dialects, for Ollama's clients name a model and the page never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..body import read_object

if TYPE_CHECKING:
    import falcon

    from ..ollama.chat import OllamaChat
    from .chat import WebChat


class ApiChat:
    """Tells who asks by whether the body names a model.

    Args:
        ollama: answers the bodies with a model.
        webui: answers those without.
    """

    def __init__(self, ollama: OllamaChat, webui: WebChat) -> None:
        self._ollama = ollama
        self._webui = webui

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in the dialect of who asks."""
        body = read_object(req)
        # A page may send the field, but has nothing to say in it.
        resource = self._ollama if body.get("model") else self._webui
        resource.respond(req, resp, body)
