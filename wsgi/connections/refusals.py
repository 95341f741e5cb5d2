"""Answers to requests that never were whole."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..errors import describe, error_body, log_failure
from ..ids import random_id
from ..request_log import RequestRecord

if TYPE_CHECKING:
    from .connection import Connection


def refusal(connection: Connection, exc: Exception) -> bytes:
    """Return the answer that an error is to a connection's request, and write its log line."""
    log_failure(exc)
    info = describe(exc)
    body = error_body(connection.path, info)
    request_id = random_id("req")
    RequestRecord(request_id, connection.method or "-").write(info.status)
    headers = {
        "Date": formatdate(usegmt=True),
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        **info.headers,
    }
    status = f"HTTP/1.1 {info.status} {HTTPStatus(info.status).phrase}\r\n"
    head = status + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    # The answer to HEAD ends with its head.
    return f"{head}\r\n".encode("latin-1") + (b"" if connection.method == "HEAD" else body)
