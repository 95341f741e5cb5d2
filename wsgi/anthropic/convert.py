"""Anthropic's turns of blocks to messages in OpenAI's form."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import function_call
from ..ignored import note_item
from ..parts import Conversion, Part, base64_url, content_of, picture_part, text_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# A checksum that changes with every request of a popular client. It stands before all else, so
# with it no prompt would begin like the one before.
_CHECKSUM = re.compile(r"^(x-anthropic-billing-header:[^\n]*?\bcch=)[0-9a-f]+")

_HOSTED = frozenset(
    {"server_tool_use", "mcp_tool_use", "mcp_tool_listing", "container_upload", "fallback"}
)


class _Block(NamedTuple):
    """A block, and where it stands in the body."""

    path: str
    value: Mapping[str, Any]


class Converter(Conversion):
    """Makes the messages of one request, and remembers where each came from."""

    def __init__(self) -> None:
        super().__init__()
        self._tool_names: dict[str, str] = {}

    def add_system(self, system: str | Sequence[Mapping[str, Any]]) -> None:
        """Add the ``system`` field."""
        blocks = _blocks("system", system)
        if blocks:
            first = blocks[0]
            text = _CHECKSUM.sub(r"\g<1>0", first.value["text"])
            blocks[0] = _Block(first.path, {**first.value, "text": text})
        self._add_parts("system", [_part(block, "system") for block in blocks], "system")

    def add_turns(self, turns: Sequence[Mapping[str, Any]]) -> None:
        """Add the ``messages`` field; neighbours of one role become one turn.

        Raises:
            Unsupported: a block is of a type that is not read here.
            InvalidRequest: a block stands where it makes no sense.
        """
        places = [(f"messages[{i}]", turn) for i, turn in enumerate(turns)]
        for role, group in groupby(places, key=lambda place: place[1]["role"]):
            turn = list(group)
            blocks = [
                block
                for path, message in turn
                for block in _blocks(f"{path}.content", message["content"])
            ]
            if role == "assistant":
                self._add_answer(blocks, turn[0][0])
            else:
                self._add_input(role, blocks, turn[0][0])
        if self.messages[-1].get("tool_calls"):
            raise InvalidRequest(
                "messages must go on after the tool_use blocks of the last one; "
                "send a tool_result for each",
                param="messages",
            )

    def _add_input(self, role: str, blocks: Iterable[_Block], path: str) -> None:
        parts: list[Part] = []
        is_empty = True
        for block in blocks:
            if block.value["type"] == "tool_result" and role == "user":
                self._add_parts(role, parts, path, optional=True)
                parts, is_empty = [], False
                self._add_result(block)
            else:
                parts.append(_part(block, role))
        self._add_parts(role, parts, path, optional=not is_empty)

    def _add_parts(
        self, role: str, parts: Sequence[Part], path: str, *, optional: bool = False
    ) -> None:
        if parts or not optional:
            self._add(path, {"role": role}, parts)

    def _add_result(self, block: _Block) -> None:
        tool_use_id = block.value["tool_use_id"]
        name = self._tool_names.get(tool_use_id)
        if name is None:
            raise InvalidRequest(
                f"{block.path}.tool_use_id names no tool_use block before it: {tool_use_id[:64]!r}",
                param=f"{block.path}.tool_use_id",
            )
        blocks = _blocks(f"{block.path}.content", block.value.get("content") or "")
        parts = [_part(each, "tool_result") for each in blocks]
        if block.value.get("is_error"):
            parts = _marked_as_error(parts, block.path)
        self._add(block.path, {"role": "tool", "tool_call_id": tool_use_id, "name": name}, parts)

    def _add_answer(self, blocks: Sequence[_Block], path: str) -> None:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in blocks:
            checkpoint()
            kind = block.value["type"]
            if kind == "thinking":
                thoughts.append(block.value["thinking"])
            elif kind == "tool_use":
                place = f"messages[{len(self.messages)}].tool_calls[{len(calls)}]"
                self.names[place] = block.path
                calls.append(self._call(block.value))
            elif kind == "compaction" and block.value.get("content"):
                texts.append(block.value["content"])
            elif _is_hosted(kind):
                note_item(kind)
            elif kind != "redacted_thinking":  # nobody but its maker can read it
                texts.append(_said(block))
        text = "".join(texts)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
        if calls:
            message.update(content=text or None, tool_calls=calls)
        self._add(path, message)

    def _call(self, block: Mapping[str, Any]) -> dict[str, Any]:
        self._tool_names[block["id"]] = block["name"]
        arguments = orjson.dumps(block["input"]).decode()
        return function_call(block["id"], block["name"], arguments)


def _blocks(path: str, content: str | Sequence[Mapping[str, Any]]) -> list[_Block]:
    if isinstance(content, str):
        return [_Block(path, {"type": "text", "text": content})]
    return [_Block(f"{path}[{i}]", block) for i, block in enumerate(content)]


def _part(block: _Block, where: str) -> Part:
    """Return what a block says or shows. Raises Unsupported where it does neither."""
    checkpoint()
    value, path = block.value, block.path
    kind = value["type"]
    if kind == "text":
        return text_part(value["text"], path)
    if kind == "tool_reference" and where == "tool_result":
        return text_part(value["tool_name"], path)
    if kind == "document":
        # What stands above the text of a document is told with it.
        told = [value.get("title"), value.get("context"), value["source"]["data"]]
        return text_part("\n\n".join(text for text in told if text), path)
    if kind != "image":
        raise _unsupported(block, where, "text or images")
    source = value["source"]
    if source["type"] == "url":
        return picture_part(source["url"], path, f"{path}.source.url")
    return picture_part(base64_url(source["data"]), path, f"{path}.source.data")


def _is_hosted(kind: str) -> bool:
    """Return whether a block of the assistant's tells of what a hosted service did by itself."""
    return kind in _HOSTED or kind.endswith("_tool_result")


def _said(block: _Block) -> str:
    """Return the text of a block of the assistant's, who shows nothing."""
    if block.value["type"] != "text":
        raise _unsupported(block, "assistant", "text")
    text: str = block.value["text"]
    return text


def _unsupported(block: _Block, where: str, remedy: str) -> Unsupported:
    return Unsupported(
        f"{block.path}.type {block.value['type'][:40]!r} is not supported in {where} content; "
        f"send {remedy}",
        param=f"{block.path}.type",
    )


def _marked_as_error(parts: Sequence[Part], path: str) -> list[Part]:
    """Say in words that a tool failed: OpenAI's form has no field for it."""
    content = content_of(parts)
    if isinstance(content, str):
        return [text_part(f"Error: {content}", path)]
    return [text_part("Error:", path), *parts]
