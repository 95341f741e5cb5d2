"""Bodies of ``/v1/chat/completions`` to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import caller_names, one_of, spelled
from pyllama.structured import ResponseForm, with_form

from ..fields import FieldReader
from ..validation import Schema
from .messages import read_messages
from .parse import GenerationFields, constraint_options, generation_fields
from .refusals import CHAT_REFUSALS
from .tools import ChatTools, read_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama import Llama, Prompt

CHAT_FIELDS = FieldReader(Schema(__package__, "chat.json"), CHAT_REFUSALS)

# Fields that ``Llama.chat_prompt`` takes by the same name.
_AS_THEY_ARE = (
    "add_generation_prompt",
    "continue_final_message",
    "parallel_tool_calls",
    "reasoning_effort",
    "reasoning_format",
)

# And those that it takes by another.
_SPELLINGS = {
    "enable_thinking": ("thinking.type", "enable_thinking", "think"),
    "reasoning_budget": (
        "reasoning_budget_tokens",
        "thinking_budget_tokens",
        "thinking.budget_tokens",
    ),
    "template_kwargs": ("chat_template_kwargs",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(GenerationFields):
    """A checked body of ``/v1/chat/completions``."""

    messages: list[dict[str, Any]]
    options: Mapping[str, Any]
    """What ``Llama.chat_prompt`` is told beside the messages, by its own names."""
    tools: ChatTools

    def prompt(self, llm: Llama) -> Prompt:
        """Render the conversation.

        Raises:
            InvalidRequest: it cannot be rendered, or the answer cannot be held to its form.
        """
        with caller_names(self.names):
            return llm.chat_prompt(self.messages, **self.options)


def parse_chat(body: Mapping[str, Any], llm: Llama) -> ChatRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = CHAT_FIELDS.read(body)
    form, form_names = with_form(
        constraint_options(fields), ResponseForm.of(fields.get("response_format"))
    )
    tools = read_tools(fields)
    given, names = spelled({**fields, **_thinking(fields)}, _SPELLINGS)
    if "reasoning_budget" in given:
        given["reasoning_budget"] = int(given["reasoning_budget"])
    given |= {name: fields[name] for name in _AS_THEY_ARE if name in fields}
    messages = read_messages(fields["messages"])
    shared = generation_fields(fields, llm, _logprobs(fields))
    shared["names"] |= {"prompt": "messages", **names, **form_names, **tools.names}
    return ChatRequest(
        messages=messages,
        options={**form, **tools.options, **given},
        tools=tools,
        **shared,
    )


def _thinking(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the object ``thinking`` says, by the paths of its members."""
    thinking = fields.get("thinking") or {}
    told: dict[str, Any] = {}
    if "type" in thinking:
        told["thinking.type"] = thinking["type"] != "disabled"
    if thinking.get("budget_tokens") is not None:
        told["thinking.budget_tokens"] = thinking["budget_tokens"]
    return told


def _logprobs(fields: Mapping[str, Any]) -> int | None:
    n_top = int(one_of(fields, ("top_logprobs", "n_probs")) or 0)
    if fields.get("logprobs", "n_probs" in fields and n_top > 0):
        return n_top
    if n_top > 0:
        raise InvalidRequest("top_logprobs needs logprobs; set it to true", param="top_logprobs")
    return None
