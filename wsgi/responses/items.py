"""The items of an answer, one for each of its segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..free_form import free_form_input
from ..partial import tool_input

if TYPE_CHECKING:
    from ..segments import Segment
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

    def kind(self, segment: Segment) -> str:
        """Return what a segment is: reasoning, text, or a kind of tool."""
        if segment.kind != "call":
            return segment.kind
        tool = self._tools.find(segment.name)
        return "function" if tool is None else tool.kind

    def prefix(self, segment: Segment) -> str:
        """Return what the id of a segment's item begins with."""
        return _PREFIXES[self.kind(segment)]

    def new(self, segment: Segment, item_id: str) -> dict[str, Any]:
        """Return the item of a segment that just began."""
        item = self._item(segment, item_id, "in_progress")
        if segment.kind == "call":
            item.update(self._input(segment, ""))
        else:
            item["content"] = []
        return item

    def finished(self, segment: Segment, item_id: str, logprobs: list[Any]) -> dict[str, Any]:
        """Return the item of a segment that ended, by itself or not."""
        is_cut = segment.is_open or segment.is_cut
        item = self._item(segment, item_id, "incomplete" if is_cut else "completed")
        if segment.kind == "call":
            item.update(self._input(segment, segment.text))
        else:
            item["content"] = [part_of(segment, segment.text, logprobs)]
        return item

    def _item(self, segment: Segment, item_id: str, status: str) -> dict[str, Any]:
        if segment.kind == "reasoning":
            return {"id": item_id, "type": "reasoning", "status": status, "summary": []}
        if segment.kind == "text":
            return {"id": item_id, "type": "message", "status": status, "role": "assistant"}
        kind = self.kind(segment)
        item = {"id": item_id, "type": f"{kind}_call", "status": status, "call_id": segment.id}
        if kind == "custom":
            item["type"] = "custom_tool_call"
        elif kind == "tool_search":
            return {**item, "execution": "client"}
        tool = self._tools.find(segment.name)
        if tool is None or tool.namespace is None:
            return {**item, "name": segment.name}
        return {**item, "name": tool.name, "namespace": tool.namespace}

    def _input(self, segment: Segment, arguments: str) -> dict[str, Any]:
        kind = self.kind(segment)
        if kind == "custom":
            return {"input": free_form_input(arguments)}
        return {"arguments": tool_input(arguments) if kind == "tool_search" else arguments}


def part_of(segment: Segment, text: str, logprobs: list[Any]) -> dict[str, Any]:
    """Return the one part of a message or of reasoning."""
    if segment.kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
