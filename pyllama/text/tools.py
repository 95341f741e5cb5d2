"""The tools of a request: checked, bounded, and described to models whose template cannot do it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import InvalidRequest
from pyllama.text import schema as schemas
from pyllama.text.lru import LruCache
from pyllama.text.schema_source import Spent, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TOOLS = 128
MAX_CHARS = 2 * 1024 * 1024
"""Of all tools together."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

# llama-common makes a grammar rule of each name, beside rules of its own: these would be one.
_RESERVED = {"call", "calls", "call-root", "call-first"}
_RULE_SUFFIX = re.compile(r"-(?:schema|args?|params?)(?:-|\Z)")

CALL_FORMAT = """
To call a function, answer with a JSON object within tags, and nothing after it:
<tool_call>
{"name": "<function name>", "arguments": {<arguments>}}
</tool_call>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What may be called, and whether something must be."""

    given: tuple[Mapping[str, Any], ...] = ()
    """As the request has them; the model is shown all of them."""
    callable: tuple[dict[str, Any], ...] = ()
    """Those that may be called, their parameters relaxed to what a grammar expresses."""
    chosen: tuple[Mapping[str, Any], ...] = ()
    """The same as given, their parameters such as arguments can be held against."""
    choice: Literal["auto", "none", "required"] = "auto"

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The tools for a template: as given, without members that are null."""
        return [_present(tool) for tool in self.given]

    @property
    def are_callable(self) -> bool:
        """Whether the answer may hold a call."""
        return bool(self.callable) and self.choice != "none"


# PERF: to check the schemas of two small tools takes 3 ms, and clients send the same ones again.
_cache: LruCache[Tools] = LruCache(128)


def read(tools: Sequence[Any] | None, choice: Any) -> Tools:
    """Check tools and choice of a request.

    Raises:
        InvalidRequest: a tool or the choice is malformed, or the choice names no tool.
    """
    if tools is not None and not isinstance(tools, (list, tuple)):
        raise InvalidRequest("tools must be a list", param="tools")
    check_size((tools, choice), "tools", MAX_CHARS)
    try:
        key = json.dumps([tools, choice])
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"tools must be JSON: {error}", param="tools") from error
    return _cache.get(key, lambda: _read(tools, choice))


def _read(tools: Sequence[Any] | None, choice: Any) -> Tools:
    if len(tools or ()) > MAX_TOOLS:
        raise InvalidRequest(
            f"tools has {len(tools or ())} members, more than {MAX_TOOLS}", param="tools"
        )
    spent = Spent()
    read_tools = [_tool(tool, f"tools[{index}]", spent) for index, tool in enumerate(tools or ())]
    names = [relaxed["function"]["name"] for relaxed, _ in read_tools]
    for index in range(len(names)):
        _check_rule(names, index)
    mode, chosen = _choice(choice, names)
    callable_tools = [
        pair for name, pair in zip(names, read_tools, strict=True) if chosen in {None, name}
    ]
    return Tools(
        given=tuple(tools or ()),
        callable=tuple(relaxed for relaxed, _ in callable_tools),
        chosen=tuple(checked for _, checked in callable_tools),
        choice=mode,
    )


def _tool(tool: Any, path: str, spent: Spent) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return a tool for the grammar, and for the check of its arguments."""
    if not hasattr(tool, "get") or tool.get("type") != "function":
        raise InvalidRequest(f"{path}.type must be function", param=f"{path}.type")
    function = tool.get("function")
    if not hasattr(function, "get"):
        raise InvalidRequest(f"{path}.function is missing", param=f"{path}.function")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        where = f"{path}.function.name"
        raise InvalidRequest(
            f"{where} must be 1 to 64 letters, digits, '_', '-' or '.', not {name!r}", param=where
        )
    if not isinstance(function.get("description") or "", str):
        where = f"{path}.function.description"
        raise InvalidRequest(f"{where} must be a string", param=where)
    parameters = _parameters(function.get("parameters"), f"{path}.function.parameters", spent)
    described = {"name": name, "description": function.get("description") or ""}
    relaxed = {**described, "parameters": parameters.grammar}
    checked = tool
    if function.get("parameters"):
        checked = {**tool, "function": {**function, "parameters": parameters.check}}
    return {"type": "function", "function": relaxed}, checked


def _present(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {key: value for key, value in tool["function"].items() if value is not None}
    return {"type": "function", "function": function}


def _check_rule(names: list[str], index: int) -> None:
    """Refuse a name whose grammar rule would be another's."""
    path = f"tools[{index}].function.name"
    rules = [name.replace("_", "-").replace(".", "-") for name in names]
    rule = rules[index]
    if names[index] in names[:index]:
        raise InvalidRequest(f"{path} is {names[index]!r} once more", param=path)
    if rule in _RESERVED or rule in rules[:index]:
        raise InvalidRequest(f"{path} cannot be told from another rule: {names[index]}", param=path)
    for other in rules:
        if rule.startswith(other) and _RULE_SUFFIX.match(rule, len(other)):
            raise InvalidRequest(
                f"{path} cannot be told from a part of {other}: {names[index]}", param=path
            )


def _parameters(parameters: Any, path: str, spent: Spent) -> schemas.Schema:
    if parameters is not None and not hasattr(parameters, "keys"):
        raise InvalidRequest(f"{path} must be a JSON schema of an object", param=path)
    if not parameters:
        return schemas.Schema({"type": "object", "properties": {}}, check={})
    # Tools come from many hands, and their patterns from other languages: one that cannot be used
    # keeps no tool from being called.
    found = schemas.read(parameters, path, spent=spent, drops_patterns=True)
    if parameters.get("type", "object") != "object":
        raise InvalidRequest(f"{path}.type must be object", param=f"{path}.type")
    if len(parameters.get("properties", ())) > schemas.MAX_ROOT_OPTIONAL:
        where = f"{path}.properties"
        raise InvalidRequest(f"{where} has more than {schemas.MAX_ROOT_OPTIONAL}", param=where)
    return found


def _choice(
    choice: Any, names: list[str]
) -> tuple[Literal["auto", "none", "required"], str | None]:
    if choice is None or choice == "auto":
        return "auto", None
    if choice == "none":
        return "none", None
    if not names:
        raise InvalidRequest(
            f"tool_choice is {choice!r}, but there are no tools", param="tool_choice"
        )
    if choice == "required":
        return "required", None
    function = choice.get("function") if hasattr(choice, "get") else None
    if function is None or not hasattr(function, "get") or choice.get("type") != "function":
        raise InvalidRequest(
            "tool_choice must be auto, none, required, or an object that names a function",
            param="tool_choice",
        )
    if function.get("name") not in names:
        raise InvalidRequest(
            f"tool_choice.function.name is {function.get('name')!r}, which is none of the tools: "
            + ", ".join(names),
            param="tool_choice.function.name",
        )
    return "required", function["name"]


def description(tools: Sequence[Mapping[str, Any]], *, has_format: bool) -> str:
    """Return what a system prompt says of the tools.

    Args:
        tools: the tools.
        has_format: whether the model's template has a form for calls; else ours is named.
    """
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
    text = "You can call these functions:\n" + "\n".join(lines)
    return text if has_format else text + CALL_FORMAT
