"""The real application with one route more, on which a test can ask the engine itself."""

from __future__ import annotations

from dataclasses import asdict

import falcon

from wsgi.factory import create_app
from wsgi.serve import configure_logging, get_host


class EngineStatusResource:
    """``GET /test/engine``: the engine's own status; ``POST`` checks its ledger too."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = asdict(get_host().get().status())

    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        get_host().get().check_integrity()
        resp.media = {"ledger": "agrees"}


configure_logging()
app = create_app(get_host())
app.add_route("/test/engine", EngineStatusResource())
