"""The application: its routes, and what every request goes through.

Not called ``app``: a submodule of that name would hide the ``wsgi.app`` that servers import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
import orjson
from falcon.media import JSONHandler

from . import errors
from .middleware import Interruption, RequestId, RequestLog, WorkerCheck
from .origins import LOCAL, Origins
from .routes import routes

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import TypeAlias

    from .host import Host

    Application: TypeAlias = falcon.App[falcon.Request, falcon.Response]


def create_app(
    host: Host, *, cors_origins: Collection[str] = (LOCAL,), prepare_s: float = 60.0
) -> Application:
    """Return a WSGI application that serves a host's model.

    Args:
        host: holds the model; may still be loading it.
        cors_origins: the web pages that may use it beside its own, as in
            :attr:`pyllama.settings.Settings.cors_origins`.
        prepare_s: seconds that a request may take until the engine has it.
    """
    app: Application = falcon.App(
        middleware=[
            RequestId(),
            RequestLog(),
            Interruption(prepare_s),
            WorkerCheck(),
            Origins(cors_origins),
        ]
    )
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(
        dumps=orjson.dumps, loads=orjson.loads
    )
    errors.install(app)
    for route in routes(host):
        for path in route.paths:
            app.add_route(path, route.resource, suffix=route.suffix)
    return app
