"""JSON Schema types in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def type_words(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a value may be: words, each with the reference that follows it or ``""``."""
    if "$ref" in schema:
        yield "", schema["$ref"]
        return
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        yield " or ".join(json.dumps(value) for value in values), ""
        return
    kinds = schema.get("type", "anything")
    yield " or ".join([kinds] if isinstance(kinds, str) else kinds) + _range(schema), ""
    if "items" in schema:
        yield " of ", ""
        yield from type_words(schema["items"])


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low}"
    return f", at most {high}" if low is None else f", {low} to {high}"
