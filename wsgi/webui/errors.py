"""Errors in the shape that the page reads; Ollama's clients read its ``error`` as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from ..errors import ErrorInfo

_PREFIXES = (
    "/api/models",
    "/api/queue",
    "/api/render",
    "/api/sessions",
    "/api/upload",
)


class UnknownSession(InvalidRequest):
    """A session that never was, was deleted, or was forgotten."""


class UnknownUpload(InvalidRequest):
    """A file that never was, or was deleted; the client may send it again."""


def is_webui(path: str) -> bool:
    """Return whether a path belongs to this dialect."""
    # Below /api/chat it is Ollama's.
    return path == "/api/chat" or any(
        path == prefix or path.startswith(f"{prefix}/") for prefix in _PREFIXES
    )


def webui_error(info: ErrorInfo) -> dict[str, Any]:
    """Return the body of an error."""
    return {
        "ok": False,
        "error": info.sentence,
        "type": info.type,
        "param": info.param,
        "code": info.status,
        **info.details,
    }
