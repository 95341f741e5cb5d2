"""Why a request was refused before it was whole."""

from __future__ import annotations

from pyllama.errors import CapacityError, PyllamaError


class RequestTooSlow(PyllamaError):
    """The request did not come in the time, or in the number, that its client may take."""


class ConnectionsFull(CapacityError):
    """There is no room for another connection, or for what one sends."""
