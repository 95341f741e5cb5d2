"""Fields that OpenAI or llama-server defines and this server does not honour yet.

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


def _asks_for_format(value: Any) -> bool:
    return not (isinstance(value, dict) and value.get("type") == "text")


_LEAVE_OUT = "leave it out"
_TEMPLATE = "hand it to the chat template in chat_template_kwargs"

_COMMON = (
    Refusal("n", _other_than(1), "send one request for each choice"),
    Refusal("logit_bias", bool, _LEAVE_OUT),
    Refusal("logprobs", bool, _LEAVE_OUT),
    Refusal("service_tier", _other_than("auto", "default"), _LEAVE_OUT),
    Refusal("grammar", bool, _LEAVE_OUT),
    Refusal("json_schema", lambda _: True, _LEAVE_OUT),
    Refusal("samplers", bool, _LEAVE_OUT),
    Refusal("dry_sequence_breakers", bool, _LEAVE_OUT),
    Refusal("adaptive_target", _above(-1), _LEAVE_OUT),
    Refusal("n_probs", bool, _LEAVE_OUT),
    Refusal("post_sampling_probs", bool, _LEAVE_OUT),
    Refusal("n_cmpl", _other_than(1), "send one request for each choice"),
    Refusal("n_keep", bool, _LEAVE_OUT),
    Refusal("n_indent", bool, _LEAVE_OUT),
    Refusal("n_cache_reuse", bool, _LEAVE_OUT),
    Refusal("t_max_predict_ms", _above(-1), _LEAVE_OUT),
    Refusal("id_slot", _above(-1), "slots are chosen by the engine"),
    Refusal("lora", bool, _LEAVE_OUT),
    Refusal("timings_per_token", bool, "the last chunk has the timings"),
    Refusal("return_tokens", bool, _LEAVE_OUT),
    Refusal("return_progress", bool, _LEAVE_OUT),
    Refusal("response_fields", bool, _LEAVE_OUT),
    Refusal("verbose", bool, _LEAVE_OUT),
    Refusal("sse_ping_interval", bool, _LEAVE_OUT),
)

CHAT_REFUSALS = (
    *_COMMON,
    Refusal("tools", bool, "leave it out, or send an empty list"),
    Refusal("tool_choice", _other_than("none", "auto"), 'send "none" or "auto"'),
    Refusal("functions", bool, _LEAVE_OUT),
    Refusal("function_call", _other_than("none", "auto"), _LEAVE_OUT),
    Refusal("response_format", _asks_for_format, 'send {"type": "text"}'),
    Refusal("top_logprobs", bool, _LEAVE_OUT),
    Refusal("audio", bool, _LEAVE_OUT),
    Refusal("modalities", _other_than(["text"]), 'send ["text"]'),
    Refusal("prediction", bool, _LEAVE_OUT),
    Refusal("web_search_options", lambda _: True, _LEAVE_OUT),
    Refusal("verbosity", _other_than("medium"), _LEAVE_OUT),
    Refusal("reasoning_effort", bool, _TEMPLATE),
    Refusal("reasoning_format", _other_than("none"), _LEAVE_OUT),
    Refusal("reasoning_budget_tokens", _above(-1), _LEAVE_OUT),
    Refusal("thinking_budget_tokens", _above(-1), _LEAVE_OUT),
    Refusal("reasoning_control", bool, _LEAVE_OUT),
    Refusal("continue_final_message", bool, _LEAVE_OUT),
)

COMPLETION_REFUSALS = (
    *_COMMON,
    Refusal("best_of", _other_than(1), "send one request for each choice"),
    Refusal("echo", bool, "put the prompt before the answer yourself"),
    Refusal("suffix", bool, _LEAVE_OUT),
)
