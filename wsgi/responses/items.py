"""The items of an answer, one for each of its segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..segments import Segment


def new_item(segment: Segment, item_id: str) -> dict[str, Any]:
    """Return the item of a segment that just began."""
    item = _item(segment, item_id, "in_progress")
    if segment.kind == "call":
        item["arguments"] = ""
    else:
        item["content"] = []
    return item


def finished_item(segment: Segment, item_id: str, logprobs: list[Any]) -> dict[str, Any]:
    """Return the item of a segment that ended, by itself or not."""
    is_cut = segment.is_open or segment.is_cut
    item = _item(segment, item_id, "incomplete" if is_cut else "completed")
    if segment.kind == "call":
        item["arguments"] = segment.text
    else:
        item["content"] = [part_of(segment, segment.text, logprobs)]
    return item


def part_of(segment: Segment, text: str, logprobs: list[Any]) -> dict[str, Any]:
    """Return the one part of a message or of reasoning."""
    if segment.kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _item(segment: Segment, item_id: str, status: str) -> dict[str, Any]:
    if segment.kind == "reasoning":
        return {"id": item_id, "type": "reasoning", "status": status, "summary": []}
    if segment.kind == "text":
        return {"id": item_id, "type": "message", "status": status, "role": "assistant"}
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": segment.id,
        "name": segment.name,
    }
