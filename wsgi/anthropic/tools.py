"""The tools of a request, and which of them must be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import check_n_tools, named_tool
from ..ignored import note_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Tool = dict[str, Any]


def tool_options(fields: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return what ``chat_prompt`` is told of the tools; those of hosted services are left out.

    Args:
        fields: of the body.
        names: is given the paths of the tools.

    Raises:
        InvalidRequest: the choice is of a tool that is not there.
        Unsupported: it is of one that this server does not have.
    """
    tools: Sequence[_Tool] = fields.get("tools", ())
    own = [(i, tool) for i, tool in enumerate(tools) if _is_own(tool)]
    hosted = [tool for tool in tools if not _is_own(tool)]
    check_n_tools(len(own), "tools")
    for tool in hosted:
        checkpoint()
        note_tool(tool["type"])
    options: dict[str, Any] = {}
    if own:
        options["tools"] = [_function(tool) for _, tool in own]
    for k, (i, _) in enumerate(own):
        names[f"tools[{k}]"] = names[f"tools[{k}].function"] = f"tools[{i}]"
        names[f"tools[{k}].function.parameters"] = f"tools[{i}].input_schema"
    choice = fields.get("tool_choice", {})
    options.update(_choice(choice, [tool for _, tool in own], hosted))
    if choice.get("disable_parallel_tool_use"):
        options["parallel_tool_calls"] = False
    return options


def _is_own(tool: _Tool) -> bool:
    """Return whether a tool says itself what it takes, so that the model can call it."""
    return tool.get("type") in {None, "custom"} or "input_schema" in tool


def _choice(
    choice: Mapping[str, Any], own: Sequence[_Tool], hosted: Sequence[_Tool]
) -> dict[str, Any]:
    kind = choice.get("type", "auto")
    if kind == "tool":
        for tool in hosted:
            if tool.get("name") == choice["name"]:
                raise Unsupported(
                    f"tool_choice.name {choice['name'][:64]!r} is of type {tool['type'][:40]!r}, "
                    "which this server does not have; define a tool of your own, with an "
                    "input_schema",
                    param="tool_choice.name",
                )
    if kind in {"any", "tool"} and not own:
        kinds = ", ".join(dict.fromkeys(repr(tool["type"][:40]) for tool in hosted))
        reason = f" of the caller's own; this server does not have {kinds}" if hosted else ""
        raise InvalidRequest(f"tool_choice {kind!r} needs tools{reason}", param="tool_choice")
    if kind == "tool":
        return {"tool_choice": named_tool(choice["name"], own)}
    return {} if kind == "auto" else {"tool_choice": {"any": "required", "none": "none"}[kind]}


def _function(tool: _Tool) -> dict[str, Any]:
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}
