"""JSON schemas: checked, bounded, and relaxed to what a grammar can express.

llama-common turns a schema into a grammar, but ignores many keywords, gives up on others, and takes
very long for some. What it gets is a schema that allows at least what the original does wherever
the original can be expressed, and the original itself is held against the answer at its end.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jsonschema

from pyllama.errors import InvalidRequest
from pyllama.text import pattern as patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonSchema: TypeAlias = "Mapping[str, Any] | bool"

MAX_CHARS = 128 * 1024
MAX_DEPTH = 48
MAX_NODES = 4000
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


def read(schema: JsonSchema, path: str) -> Schema:
    """Check a schema and relax it.

    Args:
        schema: the schema, JSON Schema 2020-12.
        path: the field that holds it, for errors.

    Raises:
        InvalidRequest: it is no schema, cannot be satisfied, or passes a bound; ``param`` is the
            path of what is wrong.
    """
    if schema is False:
        raise InvalidRequest(f"{path} is false, which no answer satisfies", param=path)
    text = as_json(schema, path)
    if len(text) > MAX_CHARS:
        raise InvalidRequest(
            f"{path} has {len(text)} characters, more than {MAX_CHARS}", param=path
        )
    clean = json.loads(text)
    _check_depth(clean, path)
    try:
        jsonschema.Draft202012Validator.check_schema(clean)
    except jsonschema.SchemaError as error:
        where = path + "".join(_step(step) for step in error.absolute_path)
        raise InvalidRequest(f"{where} is no JSON schema: {error.message}", param=where) from error
    except re.error as error:
        raise InvalidRequest(f"{path} has a pattern that is none: {error}", param=path) from error
    return Schema(_Reader(clean, path).root(), clean)


def as_json(schema: object, path: str) -> str:
    """Return a schema as JSON text. Raises InvalidRequest."""
    if not isinstance(schema, bool) and not hasattr(schema, "keys"):
        raise InvalidRequest(f"{path} must be a JSON schema: an object or a boolean", param=path)
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} must be JSON: {error}", param=path) from error


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _check_depth(node: Any, path: str) -> None:
    """Refuse deep nesting, without recursion."""
    waiting = [(node, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > 2 * MAX_DEPTH:
            raise InvalidRequest(f"{path} nests deeper than {MAX_DEPTH} levels", param=path)
        children = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            waiting += [(child, depth + 1) for child in children]


class _Reader:
    """Walks a schema once; every place that a reference names becomes a definition of its own."""

    def __init__(self, schema: Any, path: str) -> None:
        self._schema = schema
        self._path = path
        self._definitions: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._n_nodes = 0

    def root(self) -> dict[str, Any]:
        found = self._node(self._schema, self._path, 0)
        if self._definitions:
            return {**found, "$defs": self._definitions}
        return found

    def _refuse(self, path: str, reason: str) -> InvalidRequest:
        return InvalidRequest(f"{path} {reason}", param=path)

    def _node(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise self._refuse(self._path, f"has more than {MAX_NODES} parts")
        if depth > MAX_DEPTH:
            raise self._refuse(path, f"nests deeper than {MAX_DEPTH} levels")
        if isinstance(node, bool):
            return {}
        if "$dynamicRef" in node:
            raise self._refuse(f"{path}.$dynamicRef", "is not supported")
        # The check at the end takes every pattern, whether or not the grammar has it.
        self._check_patterns(node, path)
        if "$ref" in node:
            return self._reference(node["$ref"], f"{path}.$ref", depth)
        if "enum" in node or "const" in node:
            return self._values(node)
        if "allOf" in node:
            node = self._merged(node, path, depth)
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

    # ---- references -----------------------------------------------------------------------------

    def _reference(self, reference: str, path: str, depth: int) -> dict[str, Any]:
        target = self._resolve(reference, path)
        if reference not in self._names:
            name = self._names[reference] = f"r{len(self._names)}"
            # Taken before it is made, so that a cycle through it ends here.
            self._definitions[name] = {}
            self._definitions[name] = self._node(target, path, depth + 1)
        return {"$ref": f"#/$defs/{self._names[reference]}"}

    def _resolve(self, reference: str, path: str) -> Any:
        """Return what a reference means, past other references: those may run in a circle."""
        seen = set()
        target: Any = {"$ref": reference}
        while isinstance(target, dict) and "$ref" in target:
            reference = target["$ref"]
            if reference in seen:
                raise self._refuse(path, f"refers to itself: {reference}")
            seen.add(reference)
            target = self._look_up(reference, path)
        return target

    def _look_up(self, reference: str, path: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise self._refuse(
                path, f"is {reference!r}: only references within the schema are taken"
            )
        target = self._schema
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target = target[int(key)]
            else:
                raise self._refuse(path, f"is {reference!r}, which the schema does not have")
        if not isinstance(target, (dict, bool)):
            raise self._refuse(path, f"is {reference!r}, which is no schema")
        return target

    # ---- values, alternatives -------------------------------------------------------------------

    def _values(self, node: dict[str, Any]) -> dict[str, Any]:
        values = [node["const"]] if "const" in node else node["enum"]
        if values and len(values) <= MAX_VALUES and len(json.dumps(values)) <= MAX_CHARS // 4:
            return {"enum": values}
        return {"type": sorted({_type_of(value) for value in values})} if values else {}

    def _merged(self, node: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        """Return a schema that all of ``allOf`` went into, as far as they are objects."""
        merged = {key: value for key, value in node.items() if key != "allOf"}
        for index, child in enumerate(node["allOf"]):
            merged = _combined(merged, self._part(child, f"{path}.allOf[{index}]", depth + 1))
        return merged

    def _part(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise self._refuse(path, f"nests deeper than {MAX_DEPTH} levels")
        if isinstance(node, dict) and "$ref" in node:
            node = self._resolve(node["$ref"], f"{path}.$ref")
        if isinstance(node, dict) and "allOf" in node:
            return self._merged(node, path, depth)
        return _as_dict(node)

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
        n_optional = sum(name not in required for name in properties)
        if n_optional > (MAX_OPTIONAL if depth else MAX_ROOT_OPTIONAL):
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

    def _check_patterns(self, node: dict[str, Any], path: str) -> None:
        for pattern in (node.get("pattern"), *node.get("patternProperties", ())):
            if pattern is not None and patterns.may_explode(pattern):
                raise self._refuse(
                    f"{path}.pattern",
                    f"is {pattern!r}, which can take exponential time: repeat no group that holds "
                    "a repetition or an alternative",
                )


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
        found["required"] = [
            *one["required"],
            *(n for n in other["required"] if n not in one["required"]),
        ]
    return found


def _type_of(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")
