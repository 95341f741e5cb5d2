"""Request bodies to conversations, parameters, and what the answer repeats of them."""

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

    from .store import Item, ResponseStore

RESPONSES_FIELDS = FieldReader(Schema(__package__, "responses.json"), PROMPT_REFUSALS)
INPUT_TOKENS_FIELDS = FieldReader(Schema(__package__, "input_tokens.json"), PROMPT_REFUSALS)

# What the library calls these fields.
_NAMES = {
    "json_schema": "text.format.schema",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
}
_SAMPLING = ("temperature", "top_p")
_REPEATED = (
    "instructions",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "user",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest:
    """A checked body of ``/v1/responses``."""

    conversation: Conversation
    items: tuple[Item, ...]
    """All input, with the conversation that came before and without references."""
    params: GenerationParams
    stream: bool
    store: bool
    repeated: dict[str, Any]
    """Members of the answer that say what was asked for."""


def parse_responses(
    body: Mapping[str, Any], defaults: GenerationParams, store: ResponseStore
) -> ResponsesRequest:
    """Check a body.

    Raises:
        InvalidRequest: with the path of the field.
        NotStored: the body goes on from what is not stored.
    """
    fields = RESPONSES_FIELDS.read(body)
    options: dict[str, Any] = {name: fields[name] for name in _SAMPLING if name in fields}
    if "max_output_tokens" in fields:
        options["max_tokens"] = int(fields["max_output_tokens"])
    n_top = int(fields.get("top_logprobs", 0))
    if n_top or "message.output_text.logprobs" in fields.get("include", ()):
        options["logprobs"] = n_top
    with renamed(_NAMES):
        params = defaults.with_options(**options)
    items, conversation = _conversation(fields, store)
    return ResponsesRequest(
        conversation=conversation,
        items=items,
        params=params,
        stream=fields.get("stream", False),
        store=fields.get("store", True),
        repeated=_repeated(fields, params),
    )


def parse_input_tokens(body: Mapping[str, Any], store: ResponseStore) -> Conversation:
    """Check a body of ``/v1/responses/input_tokens``; raises as :func:`parse_responses`."""
    return _conversation(INPUT_TOKENS_FIELDS.read(body), store)[1]


def _conversation(
    fields: Mapping[str, Any], store: ResponseStore
) -> tuple[tuple[Item, ...], Conversation]:
    converter = Converter()
    if "instructions" in fields:
        converter.add_instructions(fields["instructions"])
    before: tuple[Item, ...] = ()
    if "previous_response_id" in fields:
        param = "previous_response_id"
        before = store.get(fields[param], param=param).items
    new = _items(fields["input"], store)
    for item in before:
        converter.add_item(item, "previous_response_id")
    for i, item in enumerate(new):
        converter.add_item(item, "input" if isinstance(fields["input"], str) else f"input[{i}]")
    converter.finish()
    names = _NAMES | converter.names
    options = {
        **_tool_options(fields, names),
        **_format_options(fields.get("text", {}).get("format") or {}),
    }
    effort = fields.get("reasoning", {}).get("effort")
    if effort:
        options["reasoning_effort"] = effort
    conversation = Conversation(messages=converter.messages, options=options, names=names)
    return before + new, conversation


def _items(given: str | Sequence[Item], store: ResponseStore) -> tuple[Item, ...]:
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    return tuple(
        store.item(item["id"], param=f"input[{i}].id") if _is_reference(item) else item
        for i, item in enumerate(given)
    )


def _is_reference(item: Item) -> bool:
    # The type may be left out.
    return item.get("type") == "item_reference" or not item.keys() & {"type", "role"}


def _tool_options(fields: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    tools: Sequence[Mapping[str, Any]] = fields.get("tools", ())
    options: dict[str, Any] = {}
    if tools:
        options["tools"] = [_function(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
        names.update({f"tools[{i}].function": f"tools[{i}]" for i in range(len(tools))})
    choice = fields.get("tool_choice", "auto")
    if choice not in ("auto", "none") and not tools:
        raise InvalidRequest("tool_choice asks for a call, which needs tools", param="tool_choice")
    if isinstance(choice, dict):
        options["tool_choice"] = named_tool(choice["name"], tools)
    elif choice != "auto":
        options["tool_choice"] = choice
    if "parallel_tool_calls" in fields:
        options["parallel_tool_calls"] = fields["parallel_tool_calls"]
    return options


def _function(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    kind = tool["type"]
    if kind != "function":
        raise Unsupported(
            f"{path}.type {kind[:40]!r} is a tool that this server does not have; send functions",
            param=f"{path}.type",
        )
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    function = {"name": tool["name"], "parameters": parameters}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _format_options(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.get("type") == "json_object":
        return {"json_schema": {"type": "object"}}
    return {"json_schema": wanted["schema"]} if wanted.get("type") == "json_schema" else {}


def _repeated(fields: Mapping[str, Any], params: GenerationParams) -> dict[str, Any]:
    reasoning, text = fields.get("reasoning", {}), fields.get("text", {})
    return {
        **{name: fields.get(name) for name in _REPEATED},
        "background": False,
        "max_output_tokens": params.max_tokens if params.max_tokens > 0 else None,
        "metadata": fields.get("metadata", {}),
        "parallel_tool_calls": fields.get("parallel_tool_calls", True),
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": "default",
        "store": fields.get("store", True),
        "temperature": params.sampling.temperature,
        "text": {"format": text.get("format") or {"type": "text"}},
        "tool_choice": fields.get("tool_choice", "auto"),
        "tools": fields.get("tools", []),
        "top_logprobs": params.logprobs or 0,
        "top_p": params.sampling.top_p,
        "truncation": "disabled",
    }
