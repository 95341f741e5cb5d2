"""Exceptions to HTTP answers: one table, and the shape of the route that they happened on.

The shape of all routes is the one that OpenAI and llama-server share, unless a dialect has its own.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import falcon
import orjson

from pyllama.errors import (
    Cancelled,
    CapacityError,
    ConfigError,
    ContextOverflow,
    Disabled,
    DiskFull,
    Draining,
    EngineError,
    Forked,
    InvalidMedia,
    InvalidRequest,
    InvalidResponse,
    ModelClosed,
    ModelLoadError,
    ModelNotFound,
    NativeError,
    NotReady,
    PyllamaError,
    QueueFull,
    TooLarge,
    UnknownOption,
    Unsupported,
)

from .anthropic.errors import anthropic_error, is_anthropic
from .client import ClientGone
from .connections.errors import ConnectionsFull, RequestTooSlow
from .disk import foreseen
from .file_names import without_folders
from .host import RETRY_AFTER_S, LoadFailed
from .ollama.errors import is_ollama, ollama_error
from .ollama.names import ModelNotServed
from .origins import ForeignOrigin
from .responses.store import NotStored
from .webui.errors import UnknownSession, UnknownUpload, is_webui, webui_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger("pyllama.wsgi")

_CLIENT_CLOSED_REQUEST = 499  # nginx's number; nobody is left to read it but the log
_FIRST_SERVER_ERROR = 500

# The status, and OpenAI's and llama-server's ``type``. Settings and native calls are never the
# caller's fault, so all that is not said to be is 500.
TABLE: dict[type[PyllamaError], tuple[int, str]] = {
    PyllamaError: (500, "server_error"),
    ConfigError: (500, "server_error"),
    UnknownOption: (500, "server_error"),
    ModelLoadError: (503, "unavailable_error"),
    ModelNotFound: (503, "unavailable_error"),
    InvalidRequest: (400, "invalid_request_error"),
    ContextOverflow: (400, "exceed_context_size_error"),
    InvalidMedia: (400, "invalid_request_error"),
    TooLarge: (413, "invalid_request_error"),
    Unsupported: (400, "invalid_request_error"),
    Disabled: (501, "not_supported_error"),
    InvalidResponse: (422, "invalid_response_error"),
    CapacityError: (503, "unavailable_error"),
    RequestTooSlow: (408, "timeout_error"),
    ConnectionsFull: (503, "unavailable_error"),
    QueueFull: (429, "rate_limit_error"),
    NotReady: (503, "unavailable_error"),
    Draining: (503, "unavailable_error"),
    DiskFull: (507, "server_error"),
    # Not by its client, which is no longer there to be told, but by a server that shuts down.
    Cancelled: (503, "unavailable_error"),
    ClientGone: (_CLIENT_CLOSED_REQUEST, "cancelled_error"),
    EngineError: (500, "server_error"),
    NativeError: (500, "server_error"),
    # Of a server's model, which is replaced or shut down; one that failed is another matter.
    ModelClosed: (503, "unavailable_error"),
    Forked: (500, "server_error"),
    LoadFailed: (503, "unavailable_error"),
    ForeignOrigin: (403, "permission_error"),
    NotStored: (404, "not_found_error"),
    UnknownSession: (404, "not_found_error"),
    UnknownUpload: (404, "not_found_error"),
    ModelNotServed: (404, "not_found_error"),
}

# What the operator has to know of, beside what nobody foresaw.
_OPERATORS = (EngineError, ConfigError, DiskFull)

# The ``type`` of what Falcon itself raises.
_HTTP_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """One error as a client is told it, before a dialect gives it a shape."""

    status: int
    type: str
    message: str
    param: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Members that only this kind of error has."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The message, which names the field: for dialects that have no member for it."""
        if self.param is None or self.param in self.message:
            return self.message
        return f"{self.param}: {self.message}"


def describe(exc: Exception) -> ErrorInfo:
    """Return what a client is told about an exception: nothing of one that nobody foresaw."""
    exc = foreseen(exc)
    if not isinstance(exc, PyllamaError):
        return ErrorInfo(status=500, type="server_error", message="internal server error")
    status, kind = next(TABLE[cls] for cls in type(exc).__mro__ if cls in TABLE)
    details: dict[str, Any] = {}
    if isinstance(exc, ContextOverflow):
        details = {"n_prompt_tokens": exc.n_prompt_tokens, "n_ctx": exc.n_ctx}
    if isinstance(exc, InvalidResponse):
        details = {"details": list(exc.details)}
    headers: dict[str, str] = {}
    if isinstance(exc, (CapacityError, ModelClosed, Cancelled)):
        retry_after_s = getattr(exc, "retry_after_s", RETRY_AFTER_S)
        headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))}
    return ErrorInfo(
        status=status,
        type=kind,
        message=str(exc) if status < _FIRST_SERVER_ERROR else without_folders(exc),
        param=getattr(exc, "param", None),
        details=details,
        headers=headers,
    )


def log_failure(exc: Exception) -> None:
    """Log an exception if it is ours to repair."""
    exc = foreseen(exc)
    if not isinstance(exc, PyllamaError):
        _log.error("unexpected error", exc_info=exc)
    elif isinstance(exc, _OPERATORS) and not isinstance(exc, (LoadFailed, ModelClosed)):
        _log.error("%s: %s", type(exc).__name__, exc)


def openai_error(info: ErrorInfo) -> dict[str, Any]:
    """Return the body of an error as OpenAI and llama-server shape it."""
    return {
        "error": {
            "message": info.message,
            "type": info.type,
            "param": info.param,
            "code": info.status,
            **info.details,
        }
    }


def dialect_of(path: str) -> str:
    """Return whose shape the errors of a path have: the name of a dialect's folder."""
    if is_anthropic(path):
        return "anthropic"
    if is_webui(path):
        return "webui"
    return "ollama" if is_ollama(path) else "openai"


_SHAPES: Mapping[str, Callable[[ErrorInfo], dict[str, Any]]] = {
    "anthropic": anthropic_error,
    "ollama": ollama_error,
    "openai": openai_error,
    "webui": webui_error,
}


def error_body(path: str, info: ErrorInfo) -> bytes:
    """Return the body of an error on a path."""
    return orjson.dumps(_SHAPES[dialect_of(path)](info))


def install(app: falcon.App[Any, Any]) -> None:
    """Make an application answer every error in the shape of its route."""
    app.add_error_handler(Exception, _handle)
    # Falcon's own errors keep its own handler, which sets their headers; only the body is ours.
    app.set_error_serializer(_serialize)


def _handle(
    req: falcon.Request, resp: falcon.Response, exc: Exception, _params: Mapping[str, Any]
) -> None:
    log_failure(exc)
    info = describe(exc)
    resp.status = info.status
    resp.set_headers(dict(info.headers))
    resp.data = error_body(req.path, info)
    resp.content_type = falcon.MEDIA_JSON


def _serialize(req: falcon.Request, resp: falcon.Response, exc: falcon.HTTPError) -> None:
    status = exc.status_code
    other = "invalid_request_error" if status < _FIRST_SERVER_ERROR else "server_error"
    kind = _HTTP_TYPES.get(status, other)
    info = ErrorInfo(status=status, type=kind, message=_http_message(req, exc))
    resp.data = error_body(req.path, info)
    resp.content_type = falcon.MEDIA_JSON


def _http_message(req: falcon.Request, exc: falcon.HTTPError) -> str:
    if isinstance(exc, falcon.HTTPMethodNotAllowed):
        allowed = dict(exc.headers or {}).get("Allow", "")
        return f"{req.method} is not allowed here; allowed: {allowed}"
    if isinstance(exc, falcon.HTTPRouteNotFound):
        return f"there is nothing at {req.path}"
    return exc.description or exc.title or "the request failed"
