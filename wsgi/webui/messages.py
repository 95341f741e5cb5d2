"""The page's messages to OpenAI's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest, Unsupported

from ..conversation import function_call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .file_kinds import Kind
    from .uploads import UploadStore

_MEDIA: dict[str, tuple[Kind, str]] = {
    "imagePaths": ("image", "pictures"),
    "audioPaths": ("audio", "sound"),
    "videoPaths": ("video", "video"),
}


def read_messages(
    messages: Sequence[Mapping[str, Any]], uploads: UploadStore
) -> list[dict[str, Any]]:
    """Return messages as ``Llama.chat_prompt`` takes them.

    Text files are no part of it: their text stands in the content.

    Raises:
        InvalidRequest: a message has a file that is not kept, or is of another kind.
        Unsupported: a message has a file that the model cannot take.
    """
    for i, message in enumerate(messages):
        _check_files(message, f"messages[{i}]", uploads)
    return [_message(message) for message in messages]


def _check_files(message: Mapping[str, Any], path: str, uploads: UploadStore) -> None:
    for name, (kind, what) in _MEDIA.items():
        handles = message.get(name) or ()
        for i, handle in enumerate(handles):
            place = f"{path}.{name}[{i}]"
            if uploads.get(handle, place).kind != kind:
                raise InvalidRequest(f"{place} is a file of another kind", param=place)
        if handles:
            raise Unsupported(
                f"{path}.{name}: this model takes text only, no {what}; leave the file out",
                param=f"{path}.{name}",
            )


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
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
