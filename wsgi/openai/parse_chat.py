"""Bodies of ``/v1/chat/completions`` to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import renamed
from pyllama.structured import ResponseForm

from ..fields import FieldReader
from ..validation import Schema
from .messages import read_messages
from .parse import GenerationFields, constraint_options, generation_fields, one_of
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

_BUDGETS = ("reasoning_budget_tokens", "thinking_budget_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(GenerationFields):
    """A checked body of ``/v1/chat/completions``."""

    messages: list[dict[str, Any]]
    options: Mapping[str, Any]
    """What ``Llama.chat_prompt`` is told beside the messages, by its own names."""
    schema_field: str
    """The field that has the JSON Schema of the answer, where there is one."""
    tools: ChatTools

    def prompt(self, llm: Llama) -> Prompt:
        """Render the conversation.

        Raises:
            InvalidRequest: it cannot be rendered, or the answer cannot be held to its form.
        """
        names = {"json_schema": self.schema_field, "template_kwargs": "chat_template_kwargs"}
        with renamed({**self.tools.names, **names}):
            return llm.chat_prompt(self.messages, **self.options)


def parse_chat(body: Mapping[str, Any], llm: Llama) -> ChatRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = CHAT_FIELDS.read(body)
    schema_field, options = _form(fields)
    tools = read_tools(fields)
    options.update(tools.options)
    options.update({name: fields[name] for name in _AS_THEY_ARE if name in fields})
    options.update(_thinking(fields))
    if "chat_template_kwargs" in fields:
        options["template_kwargs"] = fields["chat_template_kwargs"]
    return ChatRequest(
        messages=read_messages(fields["messages"]),
        options=options,
        schema_field=schema_field,
        tools=tools,
        **generation_fields(fields, llm, _logprobs(fields)),
    )


def _thinking(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the model is to think, and for how long, by the library's names."""
    told = dict(fields)
    thinking = fields.get("thinking", {})
    if thinking:
        told["thinking.type"] = thinking["type"] != "disabled"
    if thinking.get("budget_tokens") is not None:
        told["thinking.budget_tokens"] = thinking["budget_tokens"]
    options: dict[str, Any] = {}
    is_enabled = one_of(told, ("thinking.type", "enable_thinking", "think"))
    if is_enabled is not None:
        options["enable_thinking"] = is_enabled
    budget = one_of(told, (*_BUDGETS, "thinking.budget_tokens"))
    if budget is not None:
        options["reasoning_budget"] = int(budget)
    return options


def _logprobs(fields: Mapping[str, Any]) -> int | None:
    n_top = int(one_of(fields, ("top_logprobs", "n_probs")) or 0)
    if fields.get("logprobs", "n_probs" in fields and n_top > 0):
        return n_top
    if n_top > 0:
        raise InvalidRequest("top_logprobs needs logprobs; set it to true", param="top_logprobs")
    return None


def _form(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return where the schema of the answer stands, and what holds the answer to its form."""
    options = constraint_options(fields)
    form = ResponseForm.of(fields.get("response_format"))
    if form is None:
        return "json_schema", options
    if options:
        name = next(iter(options))
        raise InvalidRequest(
            f"{name} and response_format exclude each other; send one of them", param=name
        )
    return form.path, {"json_schema": form.schema}
