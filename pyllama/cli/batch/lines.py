"""One line of a batch's input: who asks, in which form, and what for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from pyllama.errors import InvalidRequest

CHAT_URL = "/v1/chat/completions"
TEXT_URL = "/v1/completions"
_URLS = {CHAT_URL: "messages", TEXT_URL: "prompt"}
_ENVELOPE = {"custom_id", "method", "url", "body"}
_ID_FIELDS = ("id", "custom_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A request, or what is wrong with it."""

    index: int
    """Number of the line in the input, from 0."""
    id: str | int | None = None
    """What the line calls itself."""
    url: str | None = None
    """OpenAI's route, where the line has the form of OpenAI's batches."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What is asked, without nulls, which mean the same as absence."""
    fault: InvalidRequest | None = None

    @property
    def is_openai(self) -> bool:
        """Whether the line has the form of OpenAI's batches, and so has its result."""
        return self.url is not None


def read_line(index: int, data: bytes) -> Line:
    """Read a line; never raises, since a bad one is answered like a good one."""
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return Line(index=index, fault=InvalidRequest(f"the line is no JSON: {error}"))
    if not isinstance(given, dict):
        return Line(index=index, fault=InvalidRequest("the line must be a JSON object"))
    present = {name: value for name, value in given.items() if value is not None}
    if "body" in present or "url" in present:
        return _openai(index, present)
    ids = [present.pop(name) for name in _ID_FIELDS if name in present]
    try:
        found = _id(ids[0], "id") if ids else None
    except InvalidRequest as error:
        return Line(index=index, fault=error)
    return Line(index=index, id=found, fields=present)


def _openai(index: int, given: dict[str, Any]) -> Line:
    url = given.get("url")
    line_id: str | int | None = None
    fields: dict[str, Any] = {}
    fault = None
    try:
        line_id = _id(given.get("custom_id"), "custom_id")
        fields = _body(given)
    except InvalidRequest as error:
        fault = error
    url = url if isinstance(url, str) else ""
    return Line(index=index, id=line_id, url=url, fields=fields, fault=fault)


def _body(given: dict[str, Any]) -> dict[str, Any]:
    for name in sorted(given.keys() - _ENVELOPE):
        raise InvalidRequest(
            f"unknown field {name!r}; a line with a body has {', '.join(sorted(_ENVELOPE))}",
            param=name,
        )
    if given.get("method", "POST") != "POST":
        raise InvalidRequest("method must be POST", param="method")
    url = given.get("url")
    if not isinstance(url, str) or url not in _URLS:
        raise InvalidRequest(f"url must be one of {', '.join(_URLS)}, not {url!r}", param="url")
    body = given.get("body")
    if not isinstance(body, dict):
        raise InvalidRequest("body must be an object", param="body")
    other = _URLS[TEXT_URL if url == CHAT_URL else CHAT_URL]
    if other in body:
        raise InvalidRequest(f"{other} is no field of {url}", param=f"body.{other}")
    return {name: value for name, value in body.items() if value is not None}


def _id(value: Any, name: str) -> str | int | None:
    if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
        return value
    raise InvalidRequest(f"{name} must be a string or an integer", param=name)
