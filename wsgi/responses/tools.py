"""The tools of a request: what the model is shown, and what stands for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import check_n_tools
from ..free_form import free_form_function
from ..ignored import note_tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_NAME = 64
_SEARCH = "tool_search"

# The type of a tool with its name and namespace, or with what the model calls it.
_Key = tuple[str | None, ...]


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
        self._by_call: dict[str, OwnTool] = {}
        # A dict, since their order counts.
        self._left_out: dict[str, None] = {}

    def add(self, tools: Sequence[Mapping[str, Any]], path: str, *, again: bool = False) -> None:
        """Add tools, those of hosted services left out.

        Args:
            tools: they satisfy the schema.
            path: where they stand in the body.
            again: whether some of them may be here already.

        Raises:
            InvalidRequest: there are too many.
        """
        for i, tool in enumerate(tools):
            for each in self._made(tool, f"{path}[{i}]"):
                if not (again and each.called in self._by_call):
                    self.own.append(each)
                    self._by_call.setdefault(each.called, each)
            check_n_tools(len(self.own), path)

    def find(self, called: str) -> OwnTool | None:
        """Return the tool that the model calls by a name."""
        return self._by_call.get(called)

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
                chosen = self.own[self._chosen(choice, "tool_choice", self._places())]
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
        checkpoint()
        kind = tool["type"]
        if kind == "namespace":
            return self._inner(tool, path)
        if kind == _SEARCH and tool.get("execution") == "client":
            name = _SEARCH
        elif kind in {"function", "custom"}:
            name = tool["name"]
        else:
            self._leave_out(kind)
            return []
        return [_own(tool, kind, name, path=path)]

    def _inner(self, group: Mapping[str, Any], path: str) -> list[OwnTool]:
        made: list[OwnTool] = []
        for i, tool in enumerate(group["tools"]):
            checkpoint()
            if tool["type"] not in {"function", "custom"}:
                self._leave_out(tool["type"])
                continue
            if not made and group.get("description"):
                # Told once: there is no other place for what is said of the group.
                texts = (group["description"], tool.get("description"))
                tool = {**tool, "description": "\n\n".join(filter(None, texts))}  # noqa: PLW2901
            here = f"{path}.tools[{i}]"
            made.append(_own(tool, tool["type"], tool["name"], path=here, namespace=group["name"]))
        return made

    def _leave_out(self, kind: str) -> None:
        self._left_out[kind] = None
        note_tool(kind)

    def _places(self) -> dict[_Key, int]:
        """Return which tool is the first that a choice may mean by its type and names."""
        places: dict[_Key, int] = {}
        for k, tool in enumerate(self.own):
            for key in ((tool.name, None), (tool.name, tool.namespace), (tool.called,)):
                places.setdefault((tool.kind, *key), k)
        return places

    def _allowed(self, wanted: Sequence[Mapping[str, Any]]) -> list[OwnTool]:
        places = self._places()
        allowed = set()
        for i, entry in enumerate(wanted):
            checkpoint()
            if entry["type"] not in self._left_out:
                allowed.add(self._chosen(entry, f"tool_choice.tools[{i}]", places))
        return [self.own[k] for k in sorted(allowed)]

    def _chosen(self, entry: Mapping[str, Any], path: str, places: Mapping[_Key, int]) -> int:
        kind = entry["type"]
        if kind not in {"function", "custom", _SEARCH}:
            raise Unsupported(
                f"{path}.type {kind[:40]!r} is a tool that this server does not have; "
                "choose a function",
                param=f"{path}.type",
            )
        name = entry.get("name", _SEARCH if kind == _SEARCH else "")
        namespace = entry.get("namespace")
        if isinstance(name, str) and (namespace is None or isinstance(namespace, str)):
            keys = ((kind, name, namespace), (kind, name))
            found = [places[key] for key in keys if key in places]
            if found:
                return min(found)
        raise InvalidRequest(
            f"{path}.name must be the name of one of the tools, not {str(name)[:64]!r}",
            param=f"{path}.name",
        )

    def _reason(self) -> str:
        if not self._left_out:
            return ""
        kinds = ", ".join(repr(kind[:40]) for kind in self._left_out)
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
