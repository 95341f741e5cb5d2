"""The items of an answer, one for each of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..free_form import free_form_input
from ..partial import tool_input

if TYPE_CHECKING:
    from pyllama.results import AnswerPart

    from .tools import Toolbox

_PREFIXES = {
    "reasoning": "rs_",
    "text": "msg_",
    "function": "fc_",
    "custom": "ctc_",
    "tool_search": "tsc_",
}


class Items:
    """Makes them; a call has the item of the kind that its tool has.

    Args:
        tools: of the request.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def kind(self, part: AnswerPart) -> str:
        """Return what a part is: reasoning, text, or a kind of tool."""
        if part.kind != "call":
            return part.kind
        tool = self._tools.find(part.name)
        return "function" if tool is None else tool.kind

    def prefix(self, part: AnswerPart) -> str:
        """Return what the id of a part's item begins with."""
        return _PREFIXES[self.kind(part)]

    def new(self, part: AnswerPart, item_id: str) -> dict[str, Any]:
        """Return the item of a part that just began."""
        item = self._item(part, item_id, "in_progress")
        if part.kind == "call":
            item.update(self._input(part, ""))
        else:
            item["content"] = []
        return item

    def finished(self, part: AnswerPart, item_id: str, logprobs: list[Any]) -> dict[str, Any]:
        """Return the item of a part that ended, by itself or not."""
        item = self._item(part, item_id, "completed" if part.is_whole else "incomplete")
        if part.kind == "call":
            item.update(self._input(part, part.text))
        else:
            item["content"] = [part_of(part, part.text, logprobs)]
        return item

    def _item(self, part: AnswerPart, item_id: str, status: str) -> dict[str, Any]:
        if part.kind == "reasoning":
            return {"id": item_id, "type": "reasoning", "status": status, "summary": []}
        if part.kind == "text":
            return {"id": item_id, "type": "message", "status": status, "role": "assistant"}
        kind = self.kind(part)
        item = {"id": item_id, "type": f"{kind}_call", "status": status, "call_id": part.id}
        if kind == "custom":
            item["type"] = "custom_tool_call"
        elif kind == "tool_search":
            return {**item, "execution": "client"}
        tool = self._tools.find(part.name)
        if tool is None or tool.namespace is None:
            return {**item, "name": part.name}
        return {**item, "name": tool.name, "namespace": tool.namespace}

    def _input(self, part: AnswerPart, arguments: str) -> dict[str, Any]:
        kind = self.kind(part)
        if kind == "custom":
            return {"input": free_form_input(arguments)}
        return {"arguments": tool_input(arguments) if kind == "tool_search" else arguments}


def part_of(part: AnswerPart, text: str, logprobs: list[Any]) -> dict[str, Any]:
    """Return the one part of a message or of reasoning."""
    if part.kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
