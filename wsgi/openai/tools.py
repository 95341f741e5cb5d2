"""The tools of a chat: functions, custom tools that stand for one, and those that are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import check_n_tools
from ..free_form import free_form_function
from ..ignored import note_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTools:
    """What a body says of tools."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """By the names of ``Llama.chat_prompt``."""
    custom: frozenset[str] = frozenset()
    """The names of those whose input is a text."""
    names: Mapping[str, str] = field(default_factory=dict)
    """From paths in the options to paths in the body."""


def read_tools(fields: Mapping[str, Any]) -> ChatTools:
    """Return the tools that the caller runs; those of hosted services are left out.

    Raises:
        InvalidRequest: the choice asks for what is not there.
        Unsupported: the choice is of a tool that this server does not have.
    """
    own: list[dict[str, Any]] = []
    paths: list[str] = []
    custom: set[str] = set()
    hosted: list[str] = []
    for i, tool in enumerate(fields.get("tools", ())):
        checkpoint()
        kind = tool.get("type", "function")
        if kind == "function":
            own.append({"type": kind, **tool})
        elif kind == "custom":
            custom.add(tool[kind]["name"])
            function = free_form_function(tool[kind], tool[kind]["name"])
            own.append({"type": "function", "function": function})
        else:
            hosted.append(kind)
            note_tool(kind)
            continue
        paths.append(f"tools[{i}]")
        check_n_tools(len(own), "tools")
    own, paths, choice = _chosen(fields.get("tool_choice", "auto"), own, paths)
    if not own:
        if choice not in ("auto", "none"):
            kinds = ", ".join(repr(kind[:40]) for kind in dict.fromkeys(hosted))
            reason = f" of your own; this server does not have {kinds}" if hosted else ""
            raise InvalidRequest(
                f"tool_choice asks for a call; send tools{reason}", param="tool_choice"
            )
        return ChatTools()
    names: dict[str, str] = {}
    for k, path in enumerate(paths):
        names[f"tools[{k}]"] = path
        if own[k]["function"]["name"] in custom:
            names[f"tools[{k}].function"] = f"{path}.custom"
            names[f"tools[{k}].function.parameters"] = f"{path}.custom.format.grammar.definition"
    options = {"tools": own, "tool_choice": choice}
    return ChatTools(options=options, custom=frozenset(custom), names=names)


def _chosen(
    choice: Any, own: list[dict[str, Any]], paths: list[str]
) -> tuple[list[dict[str, Any]], list[str], Any]:
    """Return the tools that are allowed, their paths, and the choice in the form of a function."""
    if not isinstance(choice, dict):
        return own, paths, choice
    kind = choice.get("type", "function")
    if kind in {"function", "custom"}:
        name = choice[kind]["name"]
        return own, paths, {"type": "function", "function": {"name": name}}
    if kind != "allowed_tools":
        raise Unsupported(
            f"tool_choice.type {kind[:40]!r} is a tool that this server does not have; "
            "choose a function",
            param="tool_choice.type",
        )
    allowed = _allowed(choice[kind]["tools"], {tool["function"]["name"] for tool in own})
    kept = [k for k, tool in enumerate(own) if tool["function"]["name"] in allowed]
    return [own[k] for k in kept], [paths[k] for k in kept], choice[kind]["mode"]


def _allowed(wanted: Sequence[Mapping[str, Any]], known: set[str]) -> set[str]:
    allowed = set()
    for i, entry in enumerate(wanted):
        checkpoint()
        kind = entry.get("type", "function")
        if kind not in {"function", "custom"}:
            continue
        path = f"tool_choice.allowed_tools.tools[{i}].{kind}.name"
        inner = entry.get(kind)
        name = inner.get("name") if isinstance(inner, dict) else None
        if not isinstance(name, str) or name not in known:
            raise InvalidRequest(f"{path} must be the name of one of the tools", param=path)
        allowed.add(name)
    return allowed
