"""Messages of a conversation, as clients send them, to the form that a chat template takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import Unsupported
from pyllama.interruption import checkpoint

from ..free_form import free_form_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

# Parts that are media. The library takes more kinds, such as paths of files: not from a client.
_MEDIA = ("image_url", "input_audio", "input_video", "video_url")

_NOT_DONE = {
    "function_call": "send tool_calls",
    "audio": "send the text of what was said",
}


def read_messages(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages without what says nothing, and with one spelling for each thing.

    Clients send back the messages that they got, with a null for each member that was absent.

    Raises:
        Unsupported: a message has a part of a kind that nobody here can read.
    """
    return [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _message(message: dict[str, Any], path: str) -> dict[str, Any]:
    checkpoint()
    for name, remedy in _NOT_DONE.items():
        if message.get(name) is not None:
            raise Unsupported(f"{path}.{name} is not supported; {remedy}", param=f"{path}.{name}")
    read = {name: value for name, value in message.items() if value is not None}
    refusal = read.pop("refusal", None)
    content = read.get("content")
    if isinstance(content, list):
        read["content"] = [_part(part, f"{path}.content[{k}]") for k, part in enumerate(content)]
    elif content is None:
        # The message has a content in any case: templates look at it.
        read["content"] = refusal
    if "tool_calls" in read:
        read["tool_calls"] = [_call(call) for call in read["tool_calls"]]
        if not read["tool_calls"]:
            del read["tool_calls"]
    return read


def _part(part: dict[str, Any], path: str) -> dict[str, Any]:
    checkpoint()
    if part["type"] == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if part["type"] != "text" and part["type"] not in _MEDIA:
        raise Unsupported(
            f"content parts of type {part['type'][:40]!r} are not supported; "
            f"send text or {', '.join(_MEDIA)}",
            param=path,
        )
    return part


def _call(call: dict[str, Any]) -> dict[str, Any]:
    checkpoint()
    if call.get("type") == "custom":
        function = call["custom"]
        arguments: Any = free_form_arguments(function["input"])
    else:
        function = call["function"]
        arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments or {}).decode()
    read: dict[str, Any] = {
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
    if call.get("id") is not None:
        read["id"] = call["id"]
    return read
