"""JSON schemas: checked, bounded, and relaxed to what a grammar can express.

llama-common turns a schema into a grammar, but ignores many keywords, gives up on others, and takes
very long for some. What it gets is a schema that allows at least what the original does wherever
the original can be expressed, and the original itself is held against the answer at its end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.text import pattern as patterns
from pyllama.text.schema_source import MAX_CHARS, MAX_DEPTH, MAX_NODES, SchemaSource, Spent

if TYPE_CHECKING:
    from pyllama.errors import InvalidRequest
    from pyllama.text.references import JsonSchema

MAX_VALUES = 256
"""Values of one enum that the grammar spells out; more are left to the check at the end."""
MAX_OPTIONAL = 48
"""Optional properties of an object within: the converter's work grows with their cube."""
MAX_ROOT_OPTIONAL = 128
"""The same of the outermost object, whose properties are a tool's arguments."""
MAX_NAME = 128
MAX_LENGTH = 512
"""Characters of a string that the grammar counts."""
MAX_ITEMS = 128
MAX_BOUND = 2**53
MAX_MERGED = 1_000_000
"""Properties and required names put together by ``allOf``, counted at each of its parts."""
MAX_WORK = 10_000_000
"""What the converter makes of objects, about in characters; more of them become any object."""

_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_CHOICES = ("oneOf", "anyOf")
_STRUCTURE = ("properties", "items", "prefixItems", "additionalProperties")


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema in its two uses."""

    grammar: dict[str, Any]
    """For the grammar: only what the converter expresses well."""
    check: JsonSchema
    """For the check at the end: a copy of what was given."""


def read(
    schema: JsonSchema, path: str, *, spent: Spent | None = None, drops_patterns: bool = False
) -> Schema:
    """Check a schema and relax it.

    Args:
        schema: the schema, JSON Schema 2020-12.
        path: the field that holds it, for errors.
        spent: what the request's other schemas have taken.
        drops_patterns: whether patterns that cannot be matched are left out instead of refused.

    Raises:
        InvalidRequest: it is no schema, cannot be satisfied, or passes a bound; ``param`` is the
            path of what is wrong.
    """
    spent = spent if spent is not None else Spent()
    source = SchemaSource(schema, path, spent, drops_patterns=drops_patterns)
    return Schema(_Reader(source, path, spent).root(), source.schema)


class _Reader:
    """Walks a schema once; every place that a reference names becomes a definition of its own."""

    def __init__(self, source: SchemaSource, path: str, spent: Spent) -> None:
        self._source = source
        self._path = path
        self._spent = spent
        self._definitions: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._parts: dict[int, dict[str, Any]] = {}
        self._n_nodes = 0
        self._n_merged = 0

    def root(self) -> dict[str, Any]:
        found = self._node(self._source.schema, self._path, 0)
        if self._definitions:
            return {**found, "$defs": self._definitions}
        return found

    def _refuse(self, path: str, reason: str) -> InvalidRequest:
        return self._source.refused(path, reason)

    def _node(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise self._refuse(self._path, f"has more than {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise self._refuse(path, f"nests deeper than {MAX_DEPTH} levels")
        if isinstance(node, bool):
            return {}
        if "$ref" in node:
            return self._reference(node["$ref"], f"{path}.$ref", depth)
        if "enum" in node or "const" in node:
            return self._values(node)
        if "allOf" in node:
            node = self._merged(node, path)
        has_structure = any(key in node for key in _STRUCTURE)
        for key in _CHOICES:
            if key in node and not has_structure:
                return {
                    key: [
                        self._node(
                            {**_typed(node), **_as_dict(child)}, f"{path}.{key}[{index}]", depth + 1
                        )
                        for index, child in enumerate(node[key])
                    ]
                }
        return self._typed(node, path, depth)

    def _reference(self, reference: str, path: str, depth: int) -> dict[str, Any]:
        if reference not in self._names:
            target = self._source.references.target(reference)
            name = self._names[reference] = f"r{len(self._names)}"
            # Taken before it is made, so that a cycle through it ends here.
            self._definitions[name] = {}
            self._definitions[name] = self._node(target, path, depth + 1)
        return {"$ref": f"#/$defs/{self._names[reference]}"}

    # ---- values, alternatives -------------------------------------------------------------------

    def _values(self, node: dict[str, Any]) -> dict[str, Any]:
        values = [node["const"]] if "const" in node else node["enum"]
        if values and len(values) <= MAX_VALUES:
            n_chars = len(json.dumps(values))
            self._spent.n_value_chars += n_chars
            # What several schemas refer to is written out for each that merges it.
            if n_chars <= MAX_CHARS // 4 and self._spent.n_value_chars <= 2 * MAX_CHARS:
                return {"enum": values}
        return {"type": sorted({_type_of(value) for value in values})} if values else {}

    def _merged(self, node: dict[str, Any], path: str) -> dict[str, Any]:
        """Return a schema that all of ``allOf`` went into, as far as they are objects."""
        merged = {key: value for key, value in node.items() if key != "allOf"}
        for index, child in enumerate(node["allOf"]):
            merged = _combined(merged, self._part(child, f"{path}.allOf[{index}]"))
            self._n_merged += len(merged.get("properties", ())) + len(merged.get("required", ()))
            if self._n_merged > MAX_MERGED:
                raise self._refuse(f"{path}.allOf", "merges too many properties")
        return merged

    def _part(self, node: Any, path: str) -> dict[str, Any]:
        if isinstance(node, dict) and "$ref" in node:
            node = self._source.references.target(node["$ref"])
        if not isinstance(node, dict) or "allOf" not in node:
            return _as_dict(node)
        # Many references may lead to one schema, whose parts refer to many in their turn.
        if id(node) not in self._parts:
            self._parts[id(node)] = self._merged(node, path)
        return self._parts[id(node)]

    # ---- by type --------------------------------------------------------------------------------

    def _typed(self, node: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        kind = node.get("type")
        if isinstance(kind, list):
            return {
                "anyOf": [
                    self._node({**_without(node, _CHOICES), "type": one}, path, depth + 1)
                    for one in kind
                ]
            }
        if kind == "object" or (kind is None and ("properties" in node or "required" in node)):
            return self._object(node, path, depth)
        if kind == "array" or (kind is None and ("items" in node or "prefixItems" in node)):
            return self._array(node, path, depth)
        if kind == "string" or (kind is None and "pattern" in node):
            return self._string(node, path)
        if kind == "integer":
            return self._integer(node, path)
        return {"type": kind} if kind else {}

    def _object(self, node: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "object"}
        properties = node.get("properties", {})
        required = [name for name in node.get("required", ()) if properties.get(name) is not False]
        additional = node.get("additionalProperties")
        n_optional = len(properties.keys() - set(required))
        # Each rule's name holds the path to it, and each optional property repeats those after it.
        self._spent.work += (n_optional**2 + len(properties) + len(required)) * (len(path) + 64)
        if (
            n_optional > (MAX_OPTIONAL if depth else MAX_ROOT_OPTIONAL)
            or self._spent.work > MAX_WORK
        ):
            return found
        kept: dict[str, Any] = {}
        for name, child in properties.items():
            where = f"{path}.properties.{name}"
            if len(name) > MAX_NAME:
                raise self._refuse(where[:MAX_NAME], f"has a name longer than {MAX_NAME}")
            if child is not False:
                kept[name] = self._node(child, where, depth + 1)
        if kept or properties:
            found["properties"] = {**kept, **{name: {} for name in required if name not in kept}}
        found["required"] = required
        if isinstance(additional, dict):
            found["additionalProperties"] = self._node(
                additional, f"{path}.additionalProperties", depth + 1
            )
        elif additional is not None and "patternProperties" not in node:
            found["additionalProperties"] = additional
        return found

    def _array(self, node: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        least, most = self._bounds(node, path, "minItems", "maxItems", MAX_ITEMS)
        found: dict[str, Any] = {"type": "array"}
        if "prefixItems" in node:
            found["prefixItems"] = [
                self._node(child, f"{path}.prefixItems[{index}]", depth + 1)
                for index, child in enumerate(node["prefixItems"])
            ]
            return found
        if "items" in node:
            found["items"] = self._node(node["items"], f"{path}.items", depth + 1)
        return {**found, **least, **most}

    def _string(self, node: dict[str, Any], path: str) -> dict[str, Any]:
        least, most = self._bounds(node, path, "minLength", "maxLength", MAX_LENGTH)
        found: dict[str, Any] = {"type": "string"}
        pattern = patterns.rewritten(node["pattern"]) if "pattern" in node else None
        if pattern is not None:
            return {**found, "pattern": pattern}
        if isinstance(node.get("format"), str):
            found["format"] = node["format"]
        return {**found, **least, **most}

    def _bounds(
        self, node: dict[str, Any], path: str, low: str, high: str, limit: int
    ) -> tuple[dict[str, int], dict[str, int]]:
        least, most = int(node.get(low, 0)), node.get(high)
        if most is not None and least > most:
            raise self._refuse(f"{path}.{low}", f"is {least}, more than {high}, which is {most}")
        return {low: min(least, limit)} if least else {}, (
            {high: int(most)} if most is not None and most <= limit else {}
        )

    def _integer(self, node: dict[str, Any], path: str) -> dict[str, Any]:
        found = {key: node[key] for key in _NUMBERS if key in node and abs(node[key]) < MAX_BOUND}
        low = max(found.get("minimum", -MAX_BOUND), found.get("exclusiveMinimum", -MAX_BOUND))
        high = min(found.get("maximum", MAX_BOUND), found.get("exclusiveMaximum", MAX_BOUND))
        if low > high:
            raise self._refuse(path, f"has no integer: {low} is more than {high}")
        return {"type": "integer", **found}


def _as_dict(node: Any) -> dict[str, Any]:
    return node if isinstance(node, dict) else {}


def _typed(node: dict[str, Any]) -> dict[str, Any]:
    return {"type": node["type"]} if "type" in node else {}


def _without(node: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keys}


def _combined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return two schemas as one: properties and required of both, of other keywords the first."""
    found = {**other, **one}
    if "properties" in one and "properties" in other:
        found["properties"] = {**other["properties"], **one["properties"]}
    if "required" in one and "required" in other:
        found["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return found


def _type_of(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")
