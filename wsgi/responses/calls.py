"""Calls and their outputs, of whatever kind of tool, as a conversation brings them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest

from ..free_form import free_form_arguments
from .tools import called_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .store import Item

# What the model was shown as arguments of tools that have a kind of item to themselves.
_ARGUMENTS = {"local_shell_call": "action", "shell_call": "action", "apply_patch_call": "operation"}

CALLS = frozenset({"function_call", "custom_tool_call", "tool_search_call", *_ARGUMENTS})
"""The types of items that are a call of a tool which the caller runs."""

OUTPUTS = frozenset(
    {
        "function_call_output",
        "custom_tool_call_output",
        "tool_search_output",
        *(f"{kind}_output" for kind in _ARGUMENTS),
    }
)
"""The types of items that answer one."""

HOSTED = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "web_search_call",
    }
)
"""The types of items that tell of what a hosted service did by itself."""

TOOL_LISTS = frozenset({"additional_tools", "tool_search_output"})
"""The types of items that bring more tools along."""


def is_hosted(item: Item) -> bool:
    """Return whether an item tells of what a hosted service did by itself."""
    kind = item.get("type")
    if kind in {"tool_search_call", "tool_search_output"}:
        return item.get("execution") == "server" or not item.get("call_id")
    return kind in HOSTED


def call_of(item: Item, path: str) -> tuple[str, str]:
    """Return which function a call is of, as the model calls it, and its arguments.

    Raises:
        InvalidRequest: a member is missing or of a wrong type.
    """
    # The schema checks function calls only: with all the other kinds in it, no tool could make up
    # requests from it any more.
    kind = item["type"]
    if kind == "function_call":
        return called_name(item["name"], item.get("namespace")), item["arguments"]
    if kind == "custom_tool_call":
        name = called_name(_text(item, "name", path), _namespace(item, path))
        return name, free_form_arguments(_text(item, "input", path))
    member = _ARGUMENTS.get(kind, "arguments")
    given = item.get(member)
    if given is None:
        raise InvalidRequest(f"{path}.{member} is missing", param=f"{path}.{member}")
    arguments = given if isinstance(given, str) else orjson.dumps(given).decode()
    return kind.removesuffix("_call"), arguments


def _namespace(item: Item, path: str) -> str | None:
    return None if item.get("namespace") is None else _text(item, "namespace", path)


def output_of(item: Item) -> str | list[Mapping[str, Any]]:
    """Return what a tool answered: a text or parts."""
    kind = item["type"]
    if kind == "tool_search_output":
        return orjson.dumps([_told(tool) for tool in item["tools"]]).decode()
    output: Any = item.get("output")
    if kind in {"function_call_output", "custom_tool_call_output"}:
        return output  # type: ignore[no-any-return]
    if output is None:
        output = item.get("status") or ""
    return output if isinstance(output, str) else orjson.dumps(output).decode()


def call_id_of(item: Item, path: str) -> str:
    """Return which call a call is, or which one an output answers. Raises InvalidRequest."""
    if item["type"] == "local_shell_call_output" and not item.get("call_id"):
        # It has the id of the call as its own.
        return _text(item, "id", path)
    return _text(item, "call_id", path)


def _text(item: Item, member: str, path: str) -> str:
    value = item.get(member)
    if not isinstance(value, str):
        fault = "is missing" if value is None else "must be a string"
        raise InvalidRequest(f"{path}.{member} {fault}", param=f"{path}.{member}")
    return value


def _told(tool: Mapping[str, Any]) -> dict[str, Any]:
    members = ("type", "name", "description", "parameters")
    told = {name: tool[name] for name in members if tool.get(name) is not None}
    if tool["type"] == "namespace":
        told["tools"] = [
            {**_told(inner), "name": called_name(inner["name"], tool["name"])}
            for inner in tool["tools"]
            if inner["type"] in {"function", "custom"}
        ]
    return told
