"""The messages of a chat: what is wrong is refused by its path before a template sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint
from pyllama.text.arguments import read_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.media import Attachments

ROLES = ("system", "developer", "user", "assistant", "tool")
# What llama-common reads of a message.
_MEMBERS = ("role", "content", "reasoning_content", "name", "tool_call_id", "tool_calls")
MAX_NAME = 512
"""Most characters of a name. Each result has that of its function, however many there are."""
# Who may show something to the model.
_SHOWING_ROLES = ("user", "tool")


def checked(messages: Sequence[Any], attachments: Attachments) -> list[dict[str, Any]]:
    """Return messages in the one form that llama-common reads.

    Args:
        messages: as the caller sent them.
        attachments: gathers their media; marks stand in the places of those.

    Raises:
        InvalidRequest: a message has a form that no template can take.
    """
    if not isinstance(messages, (list, tuple)):
        raise InvalidRequest("messages must be a list", param="messages")
    if not messages:
        raise InvalidRequest("messages must hold at least one message", param="messages")
    return [
        _message(message, f"messages[{index}]", attachments)
        for index, message in enumerate(messages)
    ]


def _message(message: Any, path: str, attachments: Attachments) -> dict[str, Any]:
    checkpoint()
    if not hasattr(message, "get"):
        raise InvalidRequest(f"{path} must be an object with role and content", param=path)
    role = message.get("role")
    if role not in ROLES:
        raise InvalidRequest(
            f"{path}.role must be one of {', '.join(ROLES)}, not {role!r}", param=f"{path}.role"
        )
    found = {key: message[key] for key in _MEMBERS if message.get(key) is not None}
    _check_texts(found, path)
    _check_content(found, path)
    if isinstance(found.get("content"), (list, tuple)):
        parts = enumerate(found["content"])
        found["content"] = [
            read
            for index, part in parts
            for read in _part(part, f"{path}.content[{index}]", role, attachments)
        ]
    if "tool_calls" in found:
        if role != "assistant":
            raise InvalidRequest(
                f"{path}.tool_calls belongs to the assistant's messages", param=f"{path}.tool_calls"
            )
        found["tool_calls"] = _calls(found["tool_calls"], f"{path}.tool_calls")
        # An empty list is no call.
        if not found["tool_calls"]:
            del found["tool_calls"]
    if role == "assistant" and not found.keys() & {"content", "tool_calls"}:
        if "reasoning_content" not in found:
            raise InvalidRequest(f"{path} has neither content nor tool_calls", param=path)
        found["content"] = ""
    return found


def _check_texts(message: dict[str, Any], path: str) -> None:
    for key in ("reasoning_content", "name", "tool_call_id"):
        _check_text(message.get(key, ""), f"{path}.{key}")
    if len(message.get("name", "")) > MAX_NAME:
        reason = f"{path}.name has more than {MAX_NAME} characters"
        raise InvalidRequest(reason, param=f"{path}.name")


def _check_content(message: dict[str, Any], path: str) -> None:
    content = message.get("content")
    path = f"{path}.content"
    if content is None:
        if message["role"] != "assistant":
            raise InvalidRequest(f"{path} is missing", param=path)
        return
    if isinstance(content, str):
        return
    if not isinstance(content, (list, tuple)):
        raise InvalidRequest(f"{path} must be a string or a list of parts", param=path)


def _part(part: Any, path: str, role: str, attachments: Attachments) -> list[dict[str, Any]]:
    """Return what stands for a part of a content: itself, or the marks of the media in it."""
    checkpoint()
    kind = part.get("type") if hasattr(part, "get") else None
    if kind == "text":
        _check_text(part.get("text"), f"{path}.text")
        return [{"type": "text", "text": part["text"]}]
    if kind is None or not attachments.takes(part):
        raise InvalidRequest(
            f"{path}.type must be text or a kind of media, not {kind!r}", param=f"{path}.type"
        )
    if role not in _SHOWING_ROLES:
        raise InvalidRequest(
            f"{path}: media belong into messages of {' or '.join(_SHOWING_ROLES)}, not of {role}",
            param=path,
        )
    return attachments.add(part, path)


def _calls(calls: Any, path: str) -> list[dict[str, Any]]:
    if not isinstance(calls, (list, tuple)):
        raise InvalidRequest(f"{path} must be a list", param=path)
    return [_call(call, f"{path}[{index}]") for index, call in enumerate(calls)]


def _call(call: Any, path: str) -> dict[str, Any]:
    checkpoint()
    if not hasattr(call, "get") or call.get("type", "function") != "function":
        raise InvalidRequest(f"{path}.type must be function", param=f"{path}.type")
    function = call.get("function")
    if not hasattr(function, "get"):
        raise InvalidRequest(f"{path}.function is missing", param=f"{path}.function")
    _check_text(function.get("name"), f"{path}.function.name")
    _check_text(call.get("id") or "", f"{path}.id")
    arguments = function.get("arguments")
    where = f"{path}.function.arguments"
    if arguments is None or arguments == "":
        arguments = "{}"
    elif not isinstance(arguments, str) and not hasattr(arguments, "keys"):
        raise InvalidRequest(f"{where} must be JSON text or an object", param=where)
    found = {
        "type": "function",
        "function": {"name": function["name"], "arguments": read_arguments(arguments, where)},
    }
    return {**found, "id": call["id"]} if call.get("id") else found


def _check_text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(f"{path} must be a string", param=path)


def described(messages: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Return messages with a text at the end of the system prompt, which is added if need be."""
    first, *rest = messages
    if first["role"] not in {"system", "developer"}:
        return [{"role": "system", "content": text}, *messages]
    content = first["content"]
    if isinstance(content, str):
        content = f"{content}\n\n{text}"
    else:
        content = [*content, {"type": "text", "text": text}]
    return [{**first, "content": content}, *rest]


def without_calls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages in which calls and their results are text, for templates without them."""
    return [_without_calls(message) for message in messages]


def _without_calls(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        text = plain_text(message["content"])
        return {"role": "user", "content": f"<tool_response>\n{text}\n</tool_response>"}
    if "tool_calls" not in message:
        return message
    calls = []
    for call in message["tool_calls"]:
        arguments = call["function"]["arguments"]
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        body = json.dumps(
            {"name": call["function"]["name"], "arguments": arguments}, ensure_ascii=False
        )
        calls.append(f"<tool_call>\n{body}\n</tool_call>")
    text = "\n".join(filter(None, (plain_text(message.get("content", "")), *calls)))
    found = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**found, "content": text}


def plain_text(content: Any) -> str:
    """Return a content's text, its parts a line each."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content)
