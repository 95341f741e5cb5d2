"""The application: its routes, and what they are wired to.

Not called ``app``: a submodule of that name would hide the ``wsgi.app`` that servers import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
import orjson
from falcon.media import JSONHandler

from . import errors
from .anthropic.messages import Messages, TokenCount
from .middleware import RequestId, RequestLog, WorkerCheck
from .native.health import Health, Root
from .native.metrics import MetricsEndpoint
from .native.tokens import ApplyTemplate, Detokenize, Tokenize
from .openai.chat import ChatCompletions
from .openai.completions import Completions
from .openai.models import Models
from .responses.responses import Responses

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
    _add_routes(app, host)
    return app


def _add_routes(app: Application, host: Host) -> None:
    chat, completions, models = ChatCompletions(host), Completions(host), Models(host)
    health = Health(host)
    for path in ("/v1/chat/completions", "/chat/completions"):
        app.add_route(path, chat)
        app.add_route(f"{path}/input_tokens", chat, suffix="input_tokens")
    app.add_route("/v1/completions", completions)
    for path in ("/v1/models", "/models"):
        app.add_route(path, models)
        # A model's name may hold slashes.
        app.add_route(f"{path}/{{model_id:path}}", models, suffix="one")
    for path in ("/health", "/v1/health"):
        app.add_route(path, health)
    app.add_route("/v1/messages", Messages(host))
    app.add_route("/v1/messages/count_tokens", TokenCount(host))
    responses = Responses(host)
    for path in ("/v1/responses", "/responses"):
        app.add_route(path, responses)
        app.add_route(f"{path}/input_tokens", responses, suffix="count")
        app.add_route(f"{path}/{{response_id}}", responses, suffix="one")
    app.add_route("/metrics", MetricsEndpoint(host))
    app.add_route("/tokenize", Tokenize(host))
    app.add_route("/detokenize", Detokenize(host))
    app.add_route("/apply-template", ApplyTemplate(host))
    app.add_route("/", Root())
