"""The page's messages to OpenAI's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import Unsupported

from ..conversation import function_call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MEDIA = {"imagePaths": "pictures", "audioPaths": "sound", "videoPaths": "video"}


def read_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages as ``Llama.chat_prompt`` takes them.

    Text files are no part of it: their text stands in the content.

    Raises:
        Unsupported: a message has a file that the model cannot take.
    """
    return [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]


def _message(message: Mapping[str, Any], path: str) -> dict[str, Any]:
    for name, what in _MEDIA.items():
        if message.get(name):
            raise Unsupported(
                f"{path}.{name}: this model takes text only, no {what}; leave the file out",
                param=f"{path}.{name}",
            )
    read: dict[str, Any] = {"role": message["role"], "content": message.get("content") or ""}
    if message.get("thinking"):
        read["reasoning_content"] = message["thinking"]
    if message.get("tool_calls"):
        read["tool_calls"] = [_call(call) for call in message["tool_calls"]]
        read["content"] = read["content"] or None
    if message.get("toolCallId"):
        read["tool_call_id"] = message["toolCallId"]
    return read


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(call.get("arguments") or {}).decode()
    return function_call(call.get("id") or "", call["name"], arguments)
