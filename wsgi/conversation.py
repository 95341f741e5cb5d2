"""What the dialects other than OpenAI's chat make of a body: its chat, and where each part was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import caller_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama import Llama, Prompt


MAX_TOOLS = 128
"""Most tools of a request; the library's own bound, which is checked late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A chat in the form that :meth:`pyllama.Llama.chat_prompt` takes."""

    messages: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of ``chat_prompt``; what was not asked for is left out."""
    names: Mapping[str, str] = field(default_factory=dict)
    """From paths in these messages and options to paths in the body that they were made of."""

    def prompt(self, llm: Llama) -> Prompt:
        """Render it. Raises InvalidRequest, which names the caller's own field."""
        with caller_names(self.names):
            return llm.chat_prompt(self.messages, **self.options)


def function_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a call as a message's ``tool_calls`` holds it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def check_n_tools(n_tools: int, path: str) -> None:
    """Refuse more tools than may be shown, before anything is done with them.

    Raises:
        InvalidRequest: there are too many; it names the list at the path.
    """
    if n_tools > MAX_TOOLS:
        raise InvalidRequest(
            f"{path} makes more than {MAX_TOOLS} tools of the caller's own; send fewer",
            param=path,
        )


def named_tool(name: str, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return OpenAI's choice of a tool by its name. Raises InvalidRequest where it is none."""
    if all(tool["name"] != name for tool in tools):
        raise InvalidRequest(
            f"tool_choice.name must be the name of one of the tools, not {name[:64]!r}",
            param="tool_choice.name",
        )
    return {"type": "function", "function": {"name": name}}
