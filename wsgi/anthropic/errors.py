"""Errors in Anthropic's shape and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import ErrorInfo

# Anthropic's words hang on the status alone.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    # The request was right, the model's answer was not.
    422: "api_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_FIRST_SERVER_ERROR = 500


def is_anthropic(path: str) -> bool:
    """Return whether a path belongs to this dialect."""
    return path == "/v1/messages" or path.startswith("/v1/messages/")


def anthropic_error(info: ErrorInfo) -> dict[str, Any]:
    """Return the body of an error. There is no member for the field: messages begin with it."""
    other = "invalid_request_error" if info.status < _FIRST_SERVER_ERROR else "api_error"
    return {
        "type": "error",
        "error": {"type": _TYPES.get(info.status, other), "message": info.sentence},
    }
