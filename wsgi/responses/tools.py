"""The tools of a request: what the model is shown, and what stands for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import InvalidRequest, Unsupported

from ..free_form import free_form_function
from ..ignored import note_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_NAME = 64
_SEARCH = "tool_search"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTool:
    """A tool that the caller runs."""

    kind: Literal["function", "custom", "tool_search"]
    name: str
    namespace: str | None
    path: str
    function: Mapping[str, Any]
    """What the model is shown."""

    @property
    def called(self) -> str:
        """What the model calls it."""
        return str(self.function["name"])


def called_name(name: str, namespace: str | None) -> str:
    """Return what the model calls a tool: all namespaces are one to it."""
    if not namespace:
        return name
    room = max(_MAX_NAME - len(name) - 2, 1)
    return f"{namespace[:room]}__{name}"


class Toolbox:
    """The tools of one request."""

    def __init__(self) -> None:
        self.own: list[OwnTool] = []
        self._left_out: list[str] = []

    def add(self, tools: Sequence[Mapping[str, Any]], path: str, *, again: bool = False) -> None:
        """Add tools, those of hosted services left out.

        Args:
            tools: they satisfy the schema.
            path: where they stand in the body.
            again: whether some of them may be here already.
        """
        known = {tool.called for tool in self.own} if again else set()
        for i, tool in enumerate(tools):
            made = self._made(tool, f"{path}[{i}]")
            self.own += [each for each in made if each.called not in known]

    def find(self, called: str) -> OwnTool | None:
        """Return the tool that the model calls by a name."""
        return next((tool for tool in self.own if tool.called == called), None)

    def options(self, choice: str | Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
        """Return what ``chat_prompt`` is told of the tools.

        Args:
            choice: the ``tool_choice`` field.
            names: is given the paths of the tools.

        Raises:
            InvalidRequest: the choice is of something that is not there.
            Unsupported: it is of a tool that this server does not have.
        """
        shown, wanted = self.own, choice
        if not isinstance(choice, str):
            if choice["type"] == "allowed_tools":
                shown, wanted = self._allowed(choice["tools"]), choice["mode"]
            else:
                chosen = self._chosen(choice, "tool_choice")
                wanted = {"type": "function", "function": {"name": chosen.called}}
        if wanted == "required" and not shown:
            raise InvalidRequest(
                f"tool_choice asks for a call, which needs tools{self._reason()}",
                param="tool_choice",
            )
        options: dict[str, Any] = {}
        if shown:
            options["tools"] = [{"type": "function", "function": tool.function} for tool in shown]
            for k, tool in enumerate(shown):
                names.update(_names(tool, f"tools[{k}]"))
        if wanted != "auto":
            options["tool_choice"] = wanted
        return options

    def _made(self, tool: Mapping[str, Any], path: str) -> list[OwnTool]:
        """Return what stands for a tool; nothing for one of a hosted service."""
        kind = tool["type"]
        if kind == "namespace":
            return self._inner(tool, path)
        if kind == _SEARCH and tool.get("execution") == "client":
            name = _SEARCH
        elif kind in {"function", "custom"}:
            name = tool["name"]
        else:
            self._left_out.append(kind)
            note_tool(kind)
            return []
        return [_own(tool, kind, name, path=path)]

    def _inner(self, group: Mapping[str, Any], path: str) -> list[OwnTool]:
        made: list[OwnTool] = []
        for i, tool in enumerate(group["tools"]):
            if tool["type"] not in {"function", "custom"}:
                self._left_out.append(tool["type"])
                note_tool(tool["type"])
                continue
            if not made and group.get("description"):
                # Told once: there is no other place for what is said of the group.
                texts = (group["description"], tool.get("description"))
                tool = {**tool, "description": "\n\n".join(filter(None, texts))}  # noqa: PLW2901
            here = f"{path}.tools[{i}]"
            made.append(_own(tool, tool["type"], tool["name"], path=here, namespace=group["name"]))
        return made

    def _allowed(self, wanted: Sequence[Mapping[str, Any]]) -> list[OwnTool]:
        allowed = []
        for i, entry in enumerate(wanted):
            if entry["type"] in self._left_out:
                continue
            allowed.append(self._chosen(entry, f"tool_choice.tools[{i}]"))
        return [tool for tool in self.own if tool in allowed]

    def _chosen(self, entry: Mapping[str, Any], path: str) -> OwnTool:
        kind = entry["type"]
        if kind not in {"function", "custom", _SEARCH}:
            raise Unsupported(
                f"{path}.type {kind[:40]!r} is a tool that this server does not have; "
                "choose a function",
                param=f"{path}.type",
            )
        name = entry.get("name", _SEARCH if kind == _SEARCH else "")
        namespace = entry.get("namespace")
        for tool in self.own:
            is_named = tool.name == name and namespace in (None, tool.namespace)
            if tool.kind == kind and (is_named or tool.called == name):
                return tool
        raise InvalidRequest(
            f"{path}.name must be the name of one of the tools, not {str(name)[:64]!r}",
            param=f"{path}.name",
        )

    def _reason(self) -> str:
        if not self._left_out:
            return ""
        kinds = ", ".join(repr(kind[:40]) for kind in dict.fromkeys(self._left_out))
        return f" of the caller's own; this server does not have {kinds}"


def _own(
    tool: Mapping[str, Any], kind: Any, name: str, *, path: str, namespace: str | None = None
) -> OwnTool:
    called = called_name(name, namespace)
    if kind == "custom":
        function = free_form_function(tool, called)
    else:
        parameters = tool.get("parameters") or {"type": "object", "properties": {}}
        function = {"name": called, "parameters": parameters}
        if tool.get("description"):
            function["description"] = tool["description"]
    return OwnTool(kind=kind, name=name, namespace=namespace, path=path, function=function)


def _names(tool: OwnTool, place: str) -> dict[str, str]:
    """Return what a tool and its parts are in the body, by their paths among those shown."""
    names = {place: tool.path, f"{place}.function": tool.path}
    if tool.kind == "custom":
        names[f"{place}.function.parameters"] = f"{tool.path}.format.definition"
    return names
