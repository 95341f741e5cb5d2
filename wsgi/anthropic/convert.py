"""Anthropic's turns of blocks to messages in OpenAI's form."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from pyllama.errors import InvalidRequest, Unsupported

from ..conversation import function_call, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# A checksum that changes with every request of a popular client. It stands before all else, so
# with it no prompt would begin like the one before.
_CHECKSUM = re.compile(r"^(x-anthropic-billing-header:[^\n]*?\bcch=)[0-9a-f]+")


class _Block(NamedTuple):
    """A block, and where it stands in the body."""

    path: str
    value: Mapping[str, Any]


class Converter:
    """Makes the messages of one request, and remembers where each came from."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}
        """From a path in :attr:`messages` to one in the body."""
        self._tool_names: dict[str, str] = {}

    def add_system(self, system: str | Sequence[Mapping[str, Any]]) -> None:
        """Add the ``system`` field."""
        blocks = _blocks("system", system)
        if blocks:
            first = blocks[0]
            text = _CHECKSUM.sub(r"\g<1>0", first.value["text"])
            blocks[0] = _Block(first.path, {**first.value, "text": text})
        self._add_texts("system", blocks, "system")

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
        texts: list[_Block] = []
        is_empty = True
        for block in blocks:
            if block.value["type"] == "tool_result" and role == "user":
                self._add_texts(role, texts, path, optional=True)
                texts, is_empty = [], False
                self._add_result(block)
            else:
                texts.append(_text_block(block, role))
        self._add_texts(role, texts, path, optional=not is_empty)

    def _add_texts(
        self, role: str, blocks: Sequence[_Block], path: str, *, optional: bool = False
    ) -> None:
        if blocks or not optional:
            self._add(path, {"role": role, "content": _content(blocks)})

    def _add_result(self, block: _Block) -> None:
        tool_use_id = block.value["tool_use_id"]
        name = self._tool_names.get(tool_use_id)
        if name is None:
            raise InvalidRequest(
                f"{block.path}.tool_use_id names no tool_use block before it: {tool_use_id[:64]!r}",
                param=f"{block.path}.tool_use_id",
            )
        parts = _blocks(f"{block.path}.content", block.value.get("content") or "")
        content = _content([_text_block(part, "tool_result") for part in parts])
        if block.value.get("is_error"):
            content = _marked_as_error(content)
        message = {"role": "tool", "tool_call_id": tool_use_id, "name": name, "content": content}
        self._add(block.path, message)

    def _add_answer(self, blocks: Sequence[_Block], path: str) -> None:
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[dict[str, Any]] = []
        for block in blocks:
            kind = block.value["type"]
            if kind == "thinking":
                thoughts.append(block.value["thinking"])
            elif kind == "tool_use":
                place = f"messages[{len(self.messages)}].tool_calls[{len(calls)}]"
                self.names[place] = block.path
                calls.append(self._call(block.value))
            elif kind != "redacted_thinking":  # nobody but its maker can read it
                texts.append(_text_block(block, "assistant").value["text"])
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

    def _add(self, path: str, message: dict[str, Any]) -> None:
        self.names[f"messages[{len(self.messages)}]"] = path
        self.messages.append(message)


def _blocks(path: str, content: str | Sequence[Mapping[str, Any]]) -> list[_Block]:
    if isinstance(content, str):
        return [_Block(path, {"type": "text", "text": content})]
    return [_Block(f"{path}[{i}]", block) for i, block in enumerate(content)]


def _text_block(block: _Block, where: str) -> _Block:
    kind = block.value["type"]
    if kind != "text":
        raise Unsupported(
            f"{block.path}.type {kind[:40]!r} is not supported in {where} content; send text",
            param=f"{block.path}.type",
        )
    return block


def _content(blocks: Sequence[_Block]) -> str | list[dict[str, Any]]:
    return joined([block.value["text"] for block in blocks])


def _marked_as_error(content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Say in words that a tool failed: OpenAI's form has no field for it."""
    if isinstance(content, str):
        return f"Error: {content}"
    return [{"type": "text", "text": "Error:"}, *content]
