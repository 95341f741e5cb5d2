"""Request bodies: bounded bytes to a JSON object, whatever the content type says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon
import orjson

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint

from .turns import MANY, turn

if TYPE_CHECKING:
    from falcon.typing import ReadableIO

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest request body that is read: more than the longest text of any model needs, and in base64
48 MiB of pictures, sound and video. Each thread may hold one."""

MAX_MARKS = 800_000
"""Most commas and brackets of a body, those in its texts included: 64,000 messages that call tools
have fewer. Each may begin a value, and two letters of a body become up to a hundred bytes of
objects. They are read, checked and freed in calls that let no other thread run."""

MAX_DEPTH = 200
"""Most levels of lists and objects. What is read is written again, as a part of an answer or for a
template, and orjson writes at most 254 levels."""


def read_object(req: falcon.Request, *, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    The content type is not looked at: clients that send JSON as ``text/plain`` or as form data
    are common, and there is nothing else that these routes take.

    Raises:
        InvalidRequest: the body is empty, not JSON, nested too deeply, of too many values, or no
            object.
        HTTPContentTooLarge: it is longer than ``limit`` bytes.
    """
    data = _read(req, limit)
    if not data:
        raise InvalidRequest("the request body is empty; send a JSON object")
    checkpoint()
    n_brackets = data.count(b"[") + data.count(b"{")
    n_marks = n_brackets + data.count(b",")
    if n_marks > MAX_MARKS:
        raise InvalidRequest(
            f"the request body has more than {MAX_MARKS:,} commas and brackets; shorten it"
        )
    try:
        with turn(is_long=n_marks > MANY):
            body = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"the request body is not valid JSON: {exc}") from exc
    checkpoint()
    if not isinstance(body, dict):
        raise InvalidRequest("the request body must be a JSON object")
    # Each level has a bracket: with so few of them there is nothing to look for.
    if n_brackets > MAX_DEPTH and _is_deeper(body, MAX_DEPTH):
        raise InvalidRequest(f"the request body has more than {MAX_DEPTH} levels of nesting")
    return body


def _is_deeper(value: dict[str, Any], limit: int) -> bool:
    """Return whether a value has more levels than the limit; never recurses."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _read(req: falcon.Request, limit: int) -> bytes:
    length = req.content_length
    if length is None and req.env.get("wsgi.input_terminated"):
        data = _read_up_to(req.stream, limit + 1)  # a chunked body, its length unknown
        length = len(data)
    elif length is not None and length <= limit:
        data = _read_up_to(req.stream, length)
    else:
        data, length = b"", length or 0
    if length > limit:
        raise falcon.HTTPContentTooLarge(
            description=f"the request body has more than {limit:,} bytes; shorten it, or send "
            "fewer or smaller files"
        )
    if len(data) < length:
        raise InvalidRequest("the request body is shorter than its Content-Length")
    return data


def _read_up_to(stream: ReadableIO, size: int) -> bytes:
    parts: list[bytes] = []
    try:
        while size > 0 and (part := stream.read(size)):
            parts.append(part)
            size -= len(part)
    except Exception as exc:  # each server has its own for a body that it cannot parse
        raise InvalidRequest("the request body could not be read") from exc
    return b"".join(parts)
