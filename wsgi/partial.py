"""The JSON of a tool's input, also where the answer was cut in its middle."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

_CLOSERS = {"{": "}", "[": "]"}


def tool_input(arguments: str) -> Any:
    """Return the value of a JSON text; of one that was cut, what is whole in it.

    Clients that follow a stream read a cut text the same way: a value that has not ended is
    absent.
    """
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(arguments)
    for candidate in _closed(arguments):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(candidate)
    return {}


def _closed(text: str) -> list[str]:
    """Return the text closed at its end, and closed where a value ended last.

    At its end only where that is not inside of a string.
    """
    ends: list[tuple[int, str]] = []
    open_: list[str] = []
    is_string = is_escaped = False
    for i, char in enumerate(text):
        if is_string:
            is_string = is_escaped or char != '"'
            is_escaped = char == "\\" and not is_escaped
        elif char == '"':
            is_string = True
        elif char in _CLOSERS:
            open_.append(_CLOSERS[char])
            ends.append((i + 1, "".join(reversed(open_))))
        elif char in "}]" and open_:
            open_.pop()
            ends.append((i + 1, "".join(reversed(open_))))
        elif char == ",":
            ends.append((i, "".join(reversed(open_))))
    if not is_string:
        ends.append((len(text), "".join(reversed(open_))))
    return [text[:end] + closers for end, closers in reversed(ends[-2:])]
