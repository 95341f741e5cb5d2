"""Request bodies to conversations, parameters, and what the answer repeats of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import caller_names
from pyllama.interruption import checkpoint

from ..conversation import Conversation
from ..fields import FieldReader
from ..validation import Schema
from .calls import TOOL_LISTS
from .convert import Converter
from .refusals import PROMPT_REFUSALS
from .tools import Toolbox

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
    "prompt": "input",
    "reasoning_effort": "reasoning.effort",
}
_SAMPLING = ("temperature", "top_p")
_REPEATED = ("instructions", "previous_response_id")
# Nothing hangs on them, but that the answer has them.
_REPEATED_ADVICE = ("prompt_cache_key", "safety_identifier", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest:
    """A checked body of ``/v1/responses``."""

    conversation: Conversation
    items: tuple[Item, ...]
    """All input, with the conversation that came before and without references."""
    tools: Toolbox
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
    with caller_names(_NAMES):
        params = defaults.with_options(**options)
    items, conversation, tools = _conversation(fields, store)
    repeated = _repeated(fields, params)
    repeated.update({name: body.get(name) for name in _REPEATED_ADVICE})
    return ResponsesRequest(
        conversation=conversation,
        items=items,
        tools=tools,
        params=params,
        stream=fields.get("stream", False),
        store=fields.get("store", True),
        repeated=repeated,
    )


def parse_input_tokens(body: Mapping[str, Any], store: ResponseStore) -> Conversation:
    """Check a body of ``/v1/responses/input_tokens``; raises as :func:`parse_responses`."""
    return _conversation(INPUT_TOKENS_FIELDS.read(body), store)[1]


def _conversation(
    fields: Mapping[str, Any], store: ResponseStore
) -> tuple[tuple[Item, ...], Conversation, Toolbox]:
    converter = Converter()
    if "instructions" in fields:
        converter.add_instructions(fields["instructions"])
    before: tuple[Item, ...] = ()
    if "previous_response_id" in fields:
        param = "previous_response_id"
        before = store.get(fields[param], param=param).items
    new = _items(fields["input"], store)
    tools = Toolbox()
    tools.add(fields.get("tools", ()), "tools")
    places = [(item, "previous_response_id") for item in before]
    is_text = isinstance(fields["input"], str)
    places += [(item, "input" if is_text else f"input[{i}]") for i, item in enumerate(new)]
    for item, path in places:
        converter.add_item(item, path)
        if item.get("type") in TOOL_LISTS:
            tools.add(item["tools"], f"{path}.tools", again=True)
    converter.finish()
    names = _NAMES | converter.names
    options = {
        **tools.options(fields.get("tool_choice", "auto"), names),
        **_format_options(fields.get("text", {}).get("format") or {}),
    }
    if "parallel_tool_calls" in fields:
        options["parallel_tool_calls"] = fields["parallel_tool_calls"]
    effort = fields.get("reasoning", {}).get("effort")
    if effort:
        options["reasoning_effort"] = effort
    conversation = Conversation(messages=converter.messages, options=options, names=names)
    return before + new, conversation, tools


def _items(given: str | Sequence[Item], store: ResponseStore) -> tuple[Item, ...]:
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    referred: set[str] = set()
    return tuple(
        _referred(item["id"], store, f"input[{i}].id", referred) if _is_reference(item) else item
        for i, item in enumerate(given)
    )


def _referred(name: str, store: ResponseStore, path: str, others: set[str]) -> Item:
    """Return the item of a reference, and add its id to those of the others.

    None is referred to twice: few short references would make a conversation without bounds.
    """
    checkpoint()
    if name in others:
        raise InvalidRequest(f"{path} refers to {name[:80]!r} once more", param=path)
    others.add(name)
    return store.item(name, param=path)


def _is_reference(item: Item) -> bool:
    # The type may be left out.
    return item.get("type") == "item_reference" or not item.keys() & {"type", "role"}


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
