"""The application: its routes, and what every request goes through.

Not called ``app``: a submodule of that name would hide the ``wsgi.app`` that servers import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
import orjson
from falcon.media import JSONHandler

from . import errors
from .middleware import RequestId, RequestLog, WorkerCheck
from .routes import routes

if TYPE_CHECKING:
    from typing import TypeAlias

    from .host import Host

    Application: TypeAlias = falcon.App[falcon.Request, falcon.Response]


def create_app(host: Host) -> Application:
    """Return a WSGI application that serves a host's model.

    Args:
        host: holds the model; may still be loading it.
    """
    app: Application = falcon.App(middleware=[RequestId(), RequestLog(), WorkerCheck()])
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(
        dumps=orjson.dumps, loads=orjson.loads
    )
    errors.install(app)
    for route in routes(host):
        for path in route.paths:
            app.add_route(path, route.resource, suffix=route.suffix)
    return app
