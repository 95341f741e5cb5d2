"""Request bodies to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.field_names import renamed

from ..conversation import Conversation, named_tool
from ..fields import FieldReader
from ..validation import Schema
from .convert import Converter
from .refusals import PROMPT_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama.params import GenerationParams

MESSAGES_FIELDS = FieldReader(Schema(__package__, "messages.json"), PROMPT_REFUSALS)
COUNT_FIELDS = FieldReader(Schema(__package__, "count_tokens.json"), PROMPT_REFUSALS)

_SAMPLING = ("temperature", "top_p", "top_k", "max_tokens")

# What the library calls these fields.
_NAMES = {
    "json_schema": "output_config.format.schema",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_budget": "thinking.budget_tokens",
    "reasoning_effort": "output_config.effort",
    "stop": "stop_sequences",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRequest:
    """A checked body of ``/v1/messages``."""

    conversation: Conversation
    params: GenerationParams
    stream: bool
    shows_thinking: bool
    """Whether thinking blocks have their text."""


def parse_messages(body: Mapping[str, Any], defaults: GenerationParams) -> MessagesRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = MESSAGES_FIELDS.read(body)
    options = {name: _whole(name, fields[name]) for name in _SAMPLING if name in fields}
    if "stop_sequences" in fields:
        options["stop"] = fields["stop_sequences"]
    with renamed(_NAMES):
        params = defaults.with_options(**options)
    return MessagesRequest(
        conversation=_conversation(fields),
        params=params,
        stream=fields.get("stream", False),
        shows_thinking=fields.get("thinking", {}).get("display") != "omitted",
    )


def parse_count(body: Mapping[str, Any]) -> Conversation:
    """Check a body of ``/v1/messages/count_tokens``; raises :class:`InvalidRequest`."""
    return _conversation(COUNT_FIELDS.read(body))


def _conversation(fields: Mapping[str, Any]) -> Conversation:
    converter = Converter()
    if "system" in fields:
        converter.add_system(fields["system"])
    converter.add_turns(fields["messages"])
    names = _NAMES | converter.names
    options = {
        **_tool_options(fields, names),
        **_thinking_options(fields.get("thinking", {})),
        **_output_options(fields.get("output_config", {})),
    }
    return Conversation(messages=converter.messages, options=options, names=names)


def _tool_options(fields: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    tools: Sequence[Mapping[str, Any]] = fields.get("tools", ())
    options: dict[str, Any] = {}
    if tools:
        options["tools"] = [_function(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        for i in range(len(tools)):
            names[f"tools[{i}].function"] = f"tools[{i}]"
            names[f"tools[{i}].function.parameters"] = f"tools[{i}].input_schema"
    choice = fields.get("tool_choice", {})
    kind = choice.get("type", "auto")
    if kind in {"any", "tool"} and not tools:
        raise InvalidRequest(f"tool_choice {kind!r} needs tools", param="tool_choice")
    if kind == "tool":
        options["tool_choice"] = named_tool(choice["name"], tools)
    elif kind != "auto":
        options["tool_choice"] = {"any": "required", "none": "none"}[kind]
    if choice.get("disable_parallel_tool_use"):
        options["parallel_tool_calls"] = False
    return options


def _function(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    kind = tool.get("type")
    if kind not in {None, "custom"}:
        raise Unsupported(
            f"{path}.type {kind[:40]!r} is a tool that this server does not have; "
            "define one of your own, with an input_schema",
            param=f"{path}.type",
        )
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _thinking_options(thinking: Mapping[str, Any]) -> dict[str, Any]:
    kind = thinking.get("type")
    if kind is None:
        return {}
    options: dict[str, Any] = {"enable_thinking": kind != "disabled"}
    if kind == "enabled":
        options["reasoning_budget"] = _whole("budget_tokens", thinking["budget_tokens"])
    return options


def _output_options(config: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if config.get("effort"):
        options["reasoning_effort"] = config["effort"]
    if config.get("format"):
        options["json_schema"] = config["format"]["schema"]
    return options


def _whole(name: str, value: Any) -> Any:
    """Return 10 for 10.0, which JSON Schema counts among the integers."""
    return int(value) if name in {"top_k", "max_tokens", "budget_tokens"} else value
