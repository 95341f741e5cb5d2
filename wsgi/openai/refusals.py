"""Fields of OpenAI's or llama-server's that ask for another answer than can be given here.

A value that asks for nothing (an empty list, false, the default) is as good as absent, since
many clients spell out every field that they know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..fields import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable


def _other_than(*harmless: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value) and value not in harmless


def _above(limit: int) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, (int, float)) or value > limit


_LEAVE_OUT = "leave it out"

_COMMON = (
    Refusal("n_indent", bool, _LEAVE_OUT),
    Refusal("t_max_predict_ms", _above(-1), _LEAVE_OUT),
    Refusal("lora", bool, _LEAVE_OUT),
    Refusal("return_tokens", bool, _LEAVE_OUT),
    Refusal("return_progress", bool, _LEAVE_OUT),
    Refusal("response_fields", bool, _LEAVE_OUT),
    Refusal("verbose", bool, _LEAVE_OUT),
    # vLLM's names for what holds an answer to a form: without it, it would be another answer.
    Refusal("guided_json", bool, "send its schema in json_schema"),
    Refusal("guided_regex", bool, "send json_schema with a pattern, or a grammar"),
    Refusal("guided_choice", bool, "send json_schema with an enum, or a grammar"),
    Refusal("guided_grammar", bool, "send grammar, in GBNF"),
    Refusal("structured_outputs", bool, "send json_schema, or grammar"),
)

CHAT_REFUSALS = (
    *_COMMON,
    Refusal("functions", bool, 'send tools, such as {"type": "function", "function": {...}}'),
    Refusal("function_call", _other_than("none", "auto"), "send tool_choice"),
    Refusal("audio", bool, _LEAVE_OUT),
    Refusal("modalities", _other_than(["text"]), 'send ["text"]'),
    Refusal("reasoning_budget_start_tag", bool, "the chat template says where reasoning begins"),
    Refusal("reasoning_budget_end_tag", bool, "the chat template says where reasoning ends"),
    Refusal("reasoning_budget_end_tags", bool, "the chat template says where reasoning ends"),
    Refusal("reasoning_budget_message", bool, "start the server with --reasoning-budget-message"),
    Refusal("reasoning_control", bool, _LEAVE_OUT),
)

COMPLETION_REFUSALS = (*_COMMON,)
