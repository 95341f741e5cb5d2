"""Whether the server can answer: ``/health``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.errors import EngineError

if TYPE_CHECKING:
    import falcon

    from ..host import Host


class Health:
    """``GET /health``: 200 when requests are taken, else 503 with the reason."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer from state that is at hand; never waits for the engine."""
        llm = self._host.get()
        # One that was replaced in this moment is dead as well.
        if llm.status().state == "dead" and self._host.get() is llm:
            raise EngineError("the engine has failed; restart the server")
        resp.media = {"status": "ok"}

    on_head = on_get
