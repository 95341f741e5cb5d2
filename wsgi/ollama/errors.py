"""Errors in Ollama's shape, which all paths below ``/api`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import ErrorInfo


def is_ollama(path: str) -> bool:
    """Return whether the errors of a path have this shape."""
    return path.startswith("/api/")


def ollama_error(info: ErrorInfo) -> dict[str, Any]:
    """Return the body of an error, which is also the last line of a stream that failed."""
    return {"error": info.sentence}
