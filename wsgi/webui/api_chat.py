"""``POST /api/chat``: two dialects, for Ollama's clients name a model and the page never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..body import read_object

if TYPE_CHECKING:
    import falcon

    from .chat import WebChat


class ApiChat:
    """Tells who asks by whether the body names a model.

    Args:
        webui: answers the bodies without a model.
    """

    def __init__(self, webui: WebChat) -> None:
        self._webui = webui

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in the dialect of who asks."""
        self._webui.respond(req, resp, read_object(req))
