"""Reads event streams."""

from __future__ import annotations

from typing import Any

import orjson


def events(text: str) -> list[Any]:
    """Return the JSON of each event of a stream; ``[DONE]`` stays a string."""
    blocks = [block for block in text.split("\n\n") if block.startswith("data: ")]
    datas = [block.removeprefix("data: ") for block in blocks]
    return [data if data == "[DONE]" else orjson.loads(data) for data in datas]


def named_events(text: str) -> list[tuple[str, Any]]:
    """Return the name and the JSON of each event of a stream that names its events."""
    found = []
    for block in text.split("\n\n"):
        if block.startswith("event: "):
            name, _, data = block.removeprefix("event: ").partition("\ndata: ")
            found.append((name, orjson.loads(data)))
    return found
