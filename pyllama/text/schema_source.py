"""A JSON schema as it was given: bounded, and every place within it looked at once.

What passes here can be walked and held against a value: each keyword's value has its form, each
reference leads to a schema, none runs in a circle, and each pattern can be matched in bounded time.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pyllama.errors import InvalidRequest
from pyllama.text import pattern as patterns
from pyllama.text import schema_shape as shape
from pyllama.text.matcher import PatternError, matcher
from pyllama.text.references import ReferenceFault, References

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyllama.text.references import JsonSchema
    from pyllama.text.schema_shape import Step

    Path: TypeAlias = "tuple[Path, tuple[Step, ...]] | None"

MAX_CHARS = 128 * 1024
MAX_DEPTH = 48
MAX_NODES = 4000
MAX_ALL_NODES = 10_000
"""Of all schemas of one request."""
MAX_CHAIN = 64
"""Schemas within schemas that one value is held against, through references."""
MAX_PATTERNS_S = 0.5
"""Longest time of the processor for reading the patterns of one request."""
_MAX_ECHO = 128

# Names and dialects of schemas. References go by path here, and nothing is fetched.
_IDENTITIES = ("$schema", "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary")


@dataclass(slots=True)
class Spent:
    """What the schemas of one request have taken so far; each bound is for all of them."""

    n_nodes: int = 0
    patterns_s: float = 0.0
    n_value_chars: int = 0
    work: int = 0


def check_size(value: Any, path: str, limit: int = MAX_CHARS) -> None:
    """Refuse a value whose JSON passes a limit, after no more work than that.

    Raises:
        InvalidRequest: it has more characters.
    """
    n_chars = 0
    waiting: list[Iterator[Any]] = [iter((value,))]
    while waiting:
        for item in waiting[-1]:
            n_chars += 2 + len(item) if isinstance(item, str) else 2
            if n_chars > limit:
                raise InvalidRequest(f"{path} has more than {limit} characters", param=path)
            if isinstance(item, (list, tuple)):
                waiting.append(iter(item))
                break
            if hasattr(item, "keys") and hasattr(item, "values"):
                n_chars += sum(len(name) for name in item if isinstance(name, str))
                waiting.append(iter(item.values()))
                break
        else:
            waiting.pop()


def as_json(schema: object, path: str) -> str:
    """Return a schema as JSON text. Raises InvalidRequest."""
    if not isinstance(schema, bool) and not hasattr(schema, "keys"):
        raise InvalidRequest(f"{path} must be a JSON schema: an object or a boolean", param=path)
    check_size(schema, path)
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} must be JSON: {error}", param=path) from error


class SchemaSource:
    """A schema's own copy.

    Args:
        schema: the schema, JSON Schema 2020-12.
        path: the field that holds it, for errors.
        spent: what the request's schemas have taken.
        drops_patterns: whether patterns that cannot be matched are left out instead of refused.

    Raises:
        InvalidRequest: it is no schema, or passes a bound; ``param`` is the path of what is wrong.
    """

    def __init__(
        self, schema: JsonSchema, path: str, spent: Spent, *, drops_patterns: bool
    ) -> None:
        if schema is False:
            raise InvalidRequest(f"{path} is false, which no answer satisfies", param=path)
        self._path = path
        self._spent = spent
        self._drops_patterns = drops_patterns
        text = as_json(schema, path)
        if len(text) > MAX_CHARS:
            raise self.refused(path, f"has more than {MAX_CHARS} characters")
        self.schema: Any = json.loads(text)
        self.references = References(self.schema)
        self._nodes: list[dict[str, Any]] = []
        self._paths: dict[int, Path] = {}
        self._check_depth()
        self._check_places()
        self._check_chains()

    def refused(self, path: str, reason: str) -> InvalidRequest:
        """Return a refusal of what is at a path."""
        return InvalidRequest(f"{path} {reason}", param=path)

    def _shown(self, path: Path, *more: Step) -> str:
        steps: list[Step] = list(reversed(more))
        while path is not None:
            path, last = path
            steps += reversed(last)
        shown = self._path
        for step in reversed(steps):
            shown += f"[{step}]" if isinstance(step, int) else f".{step[:_MAX_ECHO]}"
        return shown

    def _check_depth(self) -> None:
        """Refuse deep nesting, without recursion."""
        waiting = [(self.schema, 0)]
        while waiting:
            value, depth = waiting.pop()
            if depth > 2 * MAX_DEPTH:
                raise self.refused(self._path, f"nests deeper than {MAX_DEPTH} levels")
            if isinstance(value, (dict, list)):
                children = value.values() if isinstance(value, dict) else value
                waiting += [(child, depth + 1) for child in children]

    # ---- every place ----------------------------------------------------------------------------

    def _check_places(self) -> None:
        waiting: list[tuple[Any, Path]] = [(self.schema, None)]
        # Looked at last, so that what a reference names has its own path, if it has one.
        referred: list[tuple[Any, Path]] = []
        while waiting or referred:
            node, path = (waiting or referred).pop()
            if isinstance(node, bool) or id(node) in self._paths:
                continue
            self._spent.n_nodes += 1
            if len(self._nodes) >= MAX_NODES or self._spent.n_nodes > MAX_ALL_NODES:
                reason = f"has more than {MAX_NODES} parts, or all schemas than {MAX_ALL_NODES}"
                raise self.refused(self._path, reason)
            self._check_node(node, path)
            self._nodes.append(node)
            self._paths[id(node)] = path
            if "$ref" in node:
                referred.append((self._look_up(node, path), (path, ("$ref",))))
            inner: list[tuple[Any, Path]] = [
                (child, (path, steps)) for steps, child in shape.children(node)
            ]
            waiting += reversed(inner)

    def _check_node(self, node: Any, path: Path) -> None:
        if not isinstance(node, dict):
            raise self.refused(
                self._shown(path), "is no JSON schema: it must be an object or a boolean"
            )
        for keyword in _IDENTITIES:
            node.pop(keyword, None)
        for keyword, value in node.items():
            if (fault := shape.fault(keyword, value)) is not None:
                raise self.refused(self._shown(path, keyword), f"is no JSON schema: {fault}")
        if "$dynamicRef" in node:
            raise self.refused(self._shown(path, "$dynamicRef"), "is not supported")
        self._check_patterns(node, path)

    def _look_up(self, node: dict[str, Any], path: Path) -> Any:
        try:
            self.references.target(node["$ref"])
            return self.references.look_up(node["$ref"])
        except ReferenceFault as error:
            raise self.refused(self._shown(path, "$ref"), str(error)) from error

    # ---- patterns -------------------------------------------------------------------------------

    def _check_patterns(self, node: dict[str, Any], path: Path) -> None:
        named: dict[str, Any] = node.get("patternProperties", {})
        for pattern in [*named, *([node["pattern"]] if "pattern" in node else [])]:
            reason = self._pattern_fault(pattern)
            if reason is None:
                continue
            if not self._drops_patterns:
                raise self.refused(self._shown(path, "pattern"), reason)
            if node.get("pattern") == pattern:
                del node["pattern"]
            if named.pop(pattern, None) is not None:
                # Which names are left for these, nobody can tell any more.
                node.pop("additionalProperties", None)
                node.pop("unevaluatedProperties", None)

    def _pattern_fault(self, pattern: str) -> str | None:
        if self._spent.patterns_s > MAX_PATTERNS_S:
            return "takes too long to read, beside the other patterns"
        start_s = time.thread_time()
        try:
            if not matcher(pattern).is_linear and patterns.may_explode(pattern):
                return (
                    f"is {pattern[:_MAX_ECHO]!r}, which can take exponential time: repeat no group "
                    "that holds a repetition or an alternative"
                )
        except PatternError as error:
            return f"is no regex that can be used: {error}"
        finally:
            self._spent.patterns_s += time.thread_time() - start_s
        return None

    # ---- what one value is held against ---------------------------------------------------------

    def _check_chains(self) -> None:
        """Refuse a schema whose check of one value would not end, or goes too deep."""
        lengths: dict[int, int] = {}
        is_open: set[int] = set()
        waiting: list[tuple[Any, bool]] = [(node, False) for node in self._nodes]
        while waiting:
            node, is_done = waiting.pop()
            if not isinstance(node, dict) or id(node) in lengths:
                continue
            nexts = list(shape.applied_at_once(node))
            if "$ref" in node:
                nexts.append(self.references.look_up(node["$ref"]))
            if is_done:
                is_open.discard(id(node))
                length = 1 + max((lengths.get(id(child), 0) for child in nexts), default=0)
                if length > MAX_CHAIN:
                    reason = f"nests deeper than {MAX_CHAIN} levels for one and the same value"
                    raise self.refused(self._shown(self._paths[id(node)]), reason)
                lengths[id(node)] = length
            elif id(node) in is_open:
                reason = "refers to itself, for one and the same value"
                raise self.refused(self._shown(self._paths[id(node)]), reason)
            else:
                is_open.add(id(node))
                waiting.append((node, True))
                waiting += [(child, False) for child in nexts]
