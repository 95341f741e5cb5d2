"""Bodies of Ollama's chats to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.interruption import checkpoint

from ..conversation import Conversation, check_n_tools, function_call
from ..fields import FieldReader
from ..ignored import note_tool
from ..parts import content_of, names_of
from ..validation import Schema
from .parse import Asked, parts_of, read, shared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama import Llama

CHAT_FIELDS = FieldReader(Schema(__package__, "chat.json"), ())

_NAMES = {"json_schema": "format", "prompt": "messages", "reasoning_effort": "think"}
# What a chat template calls these members.
_MEMBERS = {
    "thinking": "reasoning_content",
    "tool_name": "name",
    "tool_call_id": "tool_call_id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(Asked):
    """A checked body of a chat."""

    conversation: Conversation

    @property
    def names(self) -> Mapping[str, str]:
        """From paths in the conversation to paths in the body."""
        return self.conversation.names


def parse_chat(body: Mapping[str, Any], llm: Llama) -> ChatRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = read(CHAT_FIELDS, body)
    messages = fields.get("messages", [])
    asked = shared(fields, llm, is_load=not messages)
    options = {**asked["form"], **asked["reasoning"]}
    read_messages, names = _messages(messages)
    tools = _tools(fields.get("tools", ()), names)
    if tools:
        options["tools"] = tools
    conversation = Conversation(messages=read_messages, options=options, names=_NAMES | names)
    return ChatRequest(conversation=conversation, **asked)


def _tools(tools: Sequence[Mapping[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the functions, and add their paths in the body; other kinds are left out."""
    made: list[dict[str, Any]] = []
    for i, tool in enumerate(tools):
        checkpoint()
        kind = tool.get("type") or "function"
        if kind != "function":
            note_tool(kind)
            continue
        names[f"tools[{len(made)}]"] = f"tools[{i}]"
        made.append({**tool, "type": kind})
        check_n_tools(len(made), "tools")
    return made


def _messages(messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return messages in OpenAI's form, and what their parts are in the body."""
    made: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for i, message in enumerate(messages):
        checkpoint()
        place = f"messages[{i}]"
        images, text = message.get("images") or (), message.get("content") or ""
        parts = parts_of(images, f"{place}.images", text, f"{place}.content")
        made.append(_message(message, content_of(parts)))
        names.update(names_of(parts, place))
    return made, names


def _message(message: Mapping[str, Any], content: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.get("role") or "user", "content": content}
    for name, member in _MEMBERS.items():
        if message.get(name):
            made[member] = message[name]
    if message.get("tool_calls"):
        made["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return made


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = orjson.dumps(function.get("arguments") or {}).decode()
    return function_call(call.get("id") or "", function["name"], arguments)
