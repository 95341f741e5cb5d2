"""Arguments of calls that a conversation brings back; a model may have been cut off within them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_MEMBERS = 1000
"""Most members of an object in what a template is given."""

# What the text is called in an object, which some templates need.
_MEMBER = "arguments"


class _TooWideError(Exception):
    """llama-common would take the square of an object's size to read it."""


def read_arguments(given: str | Mapping[str, Any], path: str) -> str | Mapping[str, Any]:
    """Return arguments as llama-common takes them: an object, or the JSON text of a value.

    A text that is no JSON object becomes the JSON text of a string that holds it: the model said
    so, and its conversation goes on.

    Raises:
        InvalidRequest: they are no text, and no JSON either, or an object in them is too wide.
    """
    try:
        text = given if isinstance(given, str) else json.dumps(given)
        # llama-common refuses what it refuses, such as infinite numbers.
        value = orjson.loads(text)
        json.loads(text, object_pairs_hook=_bounded)
    except _TooWideError as error:
        raise InvalidRequest(f"{path}: {error}", param=path) from error
    except (TypeError, ValueError, RecursionError) as error:
        if not isinstance(given, str):
            raise InvalidRequest(f"{path} must be JSON: {error}", param=path) from error
        return json.dumps(given)
    return given if isinstance(value, dict) else json.dumps(given)


def with_object_arguments(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Return messages with objects around arguments that are a text; None if there are none."""
    found = [_with_objects(message) for message in messages]
    return None if found == list(messages) else found


def _with_objects(message: Mapping[str, Any]) -> dict[str, Any]:
    if "tool_calls" not in message:
        return dict(message)
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"]
        if isinstance(arguments, str) and arguments.startswith('"'):
            function = {**function, "arguments": {_MEMBER: json.loads(arguments)}}
        calls.append({**call, "function": function})
    return {**message, "tool_calls": calls}


def _bounded(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > MAX_MEMBERS:
        raise _TooWideError(f"an object has {len(pairs)} members, more than {MAX_MEMBERS}")
