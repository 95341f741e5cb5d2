"""What the references within a JSON schema mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonSchema: TypeAlias = "Mapping[str, Any] | bool"

_MAX_ECHO = 80
# No more digits than a list has members: Python reads only so many.
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")


class ReferenceFault(ValueError):
    """A reference that leads nowhere; the text says why."""


class References:
    """Looks references up, each of them once.

    Args:
        schema: the whole schema: nothing outside of it is ever looked at.
    """

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema
        self._found: dict[str, Any] = {}
        self._targets: dict[str, Any] = {}

    def target(self, reference: str) -> Any:
        """Return the schema that a reference means, past other references.

        Raises:
            ReferenceFault: it means none.
        """
        passed: dict[str, None] = {}
        target: Any = {"$ref": reference}
        while isinstance(target, dict) and "$ref" in target:
            reference = target["$ref"]
            if reference in self._targets:
                target = self._targets[reference]
            elif reference in passed:
                raise ReferenceFault(f"refers to itself: {_shown(reference)}")
            else:
                target = self.look_up(reference)
                passed[reference] = None
        self._targets.update(dict.fromkeys(passed, target))
        return target

    def look_up(self, reference: object) -> Any:
        """Return the schema that a reference names, which may be another reference.

        Raises:
            ReferenceFault: it names none.
        """
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise ReferenceFault(
                f"is {_shown(reference)}: only references within the schema are taken, such as "
                "#/$defs/name"
            )
        if reference not in self._found:
            self._found[reference] = self._walk(reference)
        return self._found[reference]

    def _walk(self, reference: str) -> Any:
        target: Any = self._schema
        for step in unquote(reference).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and key in target:
                target = target[key]
            elif isinstance(target, list) and _INDEX.match(key) and int(key) < len(target):
                target = target[int(key)]
            else:
                raise ReferenceFault(f"is {_shown(reference)}, which the schema does not have")
        if not isinstance(target, (dict, bool)):
            raise ReferenceFault(f"is {_shown(reference)}, which is no schema")
        return target


def _shown(reference: object) -> str:
    text = repr(reference)
    return text if len(text) <= _MAX_ECHO else f"{text[:_MAX_ECHO]}..."
