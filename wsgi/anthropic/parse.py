"""Request bodies to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.field_names import caller_names

from ..conversation import Conversation
from ..fields import FieldReader
from ..validation import Schema
from .convert import Converter
from .refusals import MESSAGES_REFUSALS
from .tools import tool_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama.params import GenerationParams

MESSAGES_FIELDS = FieldReader(Schema(__package__, "messages.json"), MESSAGES_REFUSALS)
COUNT_FIELDS = FieldReader(Schema(__package__, "count_tokens.json"), ())

_SAMPLING = ("temperature", "top_p", "top_k", "max_tokens")

# What the library calls these fields.
_NAMES = {
    "json_schema": "output_config.format.schema",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "prompt": "messages",
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
    with caller_names(_NAMES):
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
        **tool_options(fields, names),
        **_thinking_options(fields.get("thinking", {})),
        **_output_options(fields, names),
    }
    return Conversation(messages=converter.messages, options=options, names=names)


def _thinking_options(thinking: Mapping[str, Any]) -> dict[str, Any]:
    kind = thinking.get("type")
    if kind is None:
        return {}
    options: dict[str, Any] = {"enable_thinking": kind != "disabled"}
    if kind == "enabled":
        options["reasoning_budget"] = _whole("budget_tokens", thinking["budget_tokens"])
    return options


def _output_options(fields: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    config = fields.get("output_config", {})
    options: dict[str, Any] = {}
    if config.get("effort"):
        options["reasoning_effort"] = config["effort"]
    if config.get("format"):
        options["json_schema"] = config["format"]["schema"]
    elif "output_format" in fields:
        # What the format was called at first.
        options["json_schema"] = fields["output_format"]["schema"]
        names["json_schema"] = "output_format.schema"
    return options


def _whole(name: str, value: Any) -> Any:
    """Return 10 for 10.0, which JSON Schema counts among the integers."""
    return int(value) if name in {"top_k", "max_tokens", "budget_tokens"} else value
