"""Requests to llama-common as JSON text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# PERF: one call for many small values is quick, but holds the interpreter for as long as it takes.
_AT_ONCE = 1000


def request_text(request: Mapping[str, Any]) -> str:
    """Return the JSON text of a request, with checkpoints between its messages.

    Raises:
        TypeError, ValueError, RecursionError: it is no JSON.
    """
    return _object({**request, "messages": _array(map(_message, request["messages"]))}, "messages")


def _message(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if not isinstance(content, list) or len(content) <= _AT_ONCE:
        checkpoint()
        return json.dumps(message)
    return _object({**message, "content": _array(_blocks(content))}, "content")


def _blocks(items: Sequence[Any]) -> Iterable[str]:
    for start in range(0, len(items), _AT_ONCE):
        checkpoint()
        yield json.dumps(items[start : start + _AT_ONCE])[1:-1]


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _object(members: dict[str, Any], written: str) -> str:
    """Return an object of which one member is JSON text already."""
    text = members.pop(written)
    rest = json.dumps(members)[1:-1]
    return f'{{"{written}": {text}{", " if rest else ""}{rest}}}'
