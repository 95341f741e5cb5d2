"""``POST /api/chat``: two dialects, for Ollama's clients name a model and the page never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..body import read_object
from .chat import WebChat

if TYPE_CHECKING:
    import falcon

    from ..host import Host
    from .sessions import SessionStore


class ApiChat:
    """Tells who asks by whether the body names a model.

    Args:
        host: holds the model.
        sessions: those of pages.
    """

    def __init__(self, host: Host, sessions: SessionStore) -> None:
        self._webui = WebChat(host, sessions)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in the dialect of who asks."""
        self._webui.respond(req, resp, read_object(req))
