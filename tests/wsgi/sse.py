"""Reads event streams."""

from __future__ import annotations

from typing import Any

import orjson


def events(text: str) -> list[Any]:
    """Return the JSON of each event of a stream; ``[DONE]`` stays a string."""
    blocks = [block for block in text.split("\n\n") if block.startswith("data: ")]
    datas = [block.removeprefix("data: ") for block in blocks]
    return [data if data == "[DONE]" else orjson.loads(data) for data in datas]
