"""What a request may say and this server passes over: advice, and services of hosted providers.

Such a field has ``"x-ignored": true`` in its schema. Each name is told to the log once a process.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_log = logging.getLogger("pyllama.wsgi")

_MAX_REMEMBERED = 256
_MAX_NAME = 64


class Names:
    """Tells new names from known ones; bounded, since clients choose some. For any thread."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def fresh(self, names: Iterable[str]) -> list[str]:
        """Return the names that were not asked for before, as far as the memory goes."""
        with self._lock:
            new = sorted(set(names) - self._known)[: _MAX_REMEMBERED - len(self._known)]
            self._known.update(new)
        return new


_fields = Names()
_tools = Names()
_items = Names()


def note_tool(kind: str) -> None:
    """Tell the log, once, that tools of a type are left out of the prompt."""
    for name in _tools.fresh([kind[:_MAX_NAME]]):
        _log.warning(
            "tools of type %r are left out: they are no functions of the caller's, and this "
            "server runs none itself",
            name,
        )


def note_item(kind: str) -> None:
    """Tell the log, once, that a part of a conversation is left out of the prompt."""
    for name in _items.fresh([kind[:_MAX_NAME]]):
        _log.warning("%r is left out of conversations: it tells of a hosted service", name)


def note_unknown(names: Iterable[str]) -> None:
    """Tell the log of names that no schema has."""
    for name in names:
        _log.warning("request field %.*r is unknown and ignored", _MAX_NAME, name)


@dataclass(slots=True)
class _Node:
    """A member that is ignored, or in which some are."""

    is_ignored: bool = False
    members: dict[str, _Node] = field(default_factory=dict)


class IgnoredFields:
    """The fields of a schema that are ignored, those within others included.

    Args:
        document: the schema.
        documents: it and its neighbours, by their names.
        name: its own name.
    """

    def __init__(self, document: Any, documents: Mapping[str, Any], name: str) -> None:
        self._root = _Node()
        _collect(self._root, document, name, documents, frozenset())
        _prune(self._root)
        self.names = frozenset(_paths(self._root, ""))
        """Their paths, such as ``tools[].cache_control`` without the brackets."""

    def note(self, fields: Mapping[str, Any]) -> None:
        """Tell the log of those that a body has and of which it was not told before."""
        if not self._root.members:
            return
        found: dict[str, str] = {}
        _find(self._root, fields, "", found)
        if found:
            for name in _fields.fresh(found):
                _log.warning("request field %r is ignored: no answer hangs on it", found[name])


def _collect(
    node: _Node, schema: Any, file: str, documents: Mapping[str, Any], above: frozenset[str]
) -> None:
    """Add the properties of a schema, and of all that it refers to, to a node."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        other, _, definition = schema["$ref"].partition("#/$defs/")
        other = other or file
        place = f"{other}#{definition}"
        if place not in above:
            target = documents[other]
            target = target["$defs"][definition] if definition else target
            _collect(node, target, other, documents, above | {place})
    for keyword in ("items", "then", "else"):
        _collect(node, schema.get(keyword), file, documents, above)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        _collect(node, part, file, documents, above)
    for name, value in schema.get("properties", {}).items():
        member = node.members.setdefault(name, _Node())
        member.is_ignored = member.is_ignored or value.get("x-ignored", False)
        _collect(member, value, file, documents, above)


def _prune(node: _Node) -> bool:
    """Drop members in which nothing is ignored; return whether anything is left."""
    node.members = {name: member for name, member in node.members.items() if _prune(member)}
    return node.is_ignored or bool(node.members)


def _paths(node: _Node, path: str) -> Iterator[str]:
    for name, member in node.members.items():
        here = f"{path}.{name}" if path else name
        if member.is_ignored:
            yield here
        yield from _paths(member, here)


def _find(node: _Node, value: Any, path: str, found: dict[str, str]) -> None:
    """Gather a path for each name: one and the same may stand in many places."""
    if isinstance(value, list):
        for item in value:
            _find(node, item, path, found)
    elif isinstance(value, dict):
        for name in node.members.keys() & value.keys():
            member, here = node.members[name], f"{path}.{name}" if path else name
            if member.is_ignored and value[name] is not None:
                found[name] = here
            if member.members:
                _find(member, value[name], here, found)
